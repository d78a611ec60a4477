"""What every service's requests and answers share: the WSGI application, the faults on the way, the envelopes.

How each service words a refusal is known here, but no rule and no state of one: its routes are handed in.
"""
