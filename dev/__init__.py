"""The local stack: storage, a Functions host and a cloud emulator.

Never deployed, and imported by nothing that is.
"""
