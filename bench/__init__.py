"""How fast the service is, as ratios to what bounds it. Never deployed; nothing else imports it."""
