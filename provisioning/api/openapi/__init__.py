"""The description of this API in OpenAPI, and the page that shows it: what is said of the calls, and to whom.

Generated from the types of requests; nothing here answers a call about a registration, or is loaded for one.
"""
