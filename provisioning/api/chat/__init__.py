"""The callers' side from a chat: verbs that call what HTTP calls, and how a chat asks for them and shows the answers.

Nothing here decides who may do what: a person of a chat is a `Caller`, and every verb goes through `api/web.py`.
"""
