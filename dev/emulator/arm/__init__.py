"""Azure Resource Manager: what a command line asks of it to sign in, and the role assignments of one subscription.

Of the directory it asks whom it knows; of HTTP only `routes.py` knows.
"""
