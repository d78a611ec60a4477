"""Microsoft Graph and the directory behind it: applications, service principals, their credentials, and their rules.

Nothing here signs or gives out a token, or knows the vault; of HTTP only `routes.py` knows.
"""
