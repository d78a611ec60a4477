"""How fast the service is, as ratios to what bounds it, measured in one run.

Never deployed; nothing else imports it.
"""
