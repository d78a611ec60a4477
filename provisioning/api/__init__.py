"""The callers' side: what a call means, how it is accepted, and what is answered.

It writes the registry and never the cloud, and reads the flows' rules without ever being read by them.
"""
