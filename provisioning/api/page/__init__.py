"""Where people meet the service in a browser: the files of its page, and how they are served, to anybody.

Nothing here knows a caller or a registration: the page's own script asks the API for them, as any other program does.
"""
