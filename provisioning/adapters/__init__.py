"""The ports, implemented over Azure's libraries, msal and requests.

Nothing else in the service knows these libraries; no decision about a registration is made here.
"""
