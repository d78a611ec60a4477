"""The ports, implemented over Azure's libraries, msal and requests; nothing else in the service knows these."""
