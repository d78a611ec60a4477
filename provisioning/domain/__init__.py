"""Values and rules: what may be asked, what is remembered, what is sent, what is refused.

Nothing here does I/O, knows a library of Azure, or imports another room.
"""
