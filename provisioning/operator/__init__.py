"""The operator's command line: what is done by hand, on the same code that the functions run.

It asks the callers' side as a caller does, and reads what the flows read; no rule about a registration is made here.
"""
