"""Key Vault's secrets: versions, deletion, recovery, and who may.

Nothing here knows the directory or another service; of HTTP only `routes.py` knows.
"""
