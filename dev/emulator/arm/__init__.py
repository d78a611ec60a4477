"""Azure Resource Manager: what a command line asks of it to sign in. No resource is known here, and no role on one.

Nothing here knows the directory or the vault; of HTTP only `routes.py` knows.
"""
