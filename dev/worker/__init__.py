"""The worker check: every function is called through the real Python worker's own library, as the host calls it.

`messages.py` has the protocol's messages, `channel.py` plays the Functions host at the other end, and `life.py` says
what is called and what is expected. It runs with nothing installed but what is deployed, the worker's library and
protobuf, so that a development package which something deployed imports is missed here; therefore it imports these
and the standard library alone. `dev/worker_check.py` runs it.
"""
