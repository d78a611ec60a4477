"""Entra's token endpoint and the managed identity: who proves to be whom, and the token that they get for it.

Nothing here writes to the directory, which it reads as it is, or knows the vault; of HTTP only `routes.py` knows.
"""
