"""The queue's and the timers' side: what is done with an accepted registration, from `provision.py`, the page, on.

Nothing here knows HTTP, an adapter or the callers' side; the outside is reached through `ports.py` alone.
"""
