"""The service behind the triggers of `function_app.py`.

Dependency runs one way, from below to above, and a test holds it:

    domain/                       values and rules; no I/O
       ↑
    ports.py   trail.py           the outside world, as Protocols; on whose behalf something is done now
               telemetry.py       and what is done, for how long, within what
       ↑            ↑
    flow/        adapters/        what is done; with which libraries it is done
       ↑            ↑
    api/            ↑             what callers ask, and are answered
       ↑            ↑
    wiring.py  ←  settings.py     joins them
       ↑
    function_app.py               and for whoever operates it `__main__.py`, with `operator/`

Only `adapters/` and `wiring.py` import Azure's libraries, msal or requests. Only `settings.py` reads the environment,
but for the schedules of the timers in `function_app.py`.
Read `flow/provision.py` first: it is the whole job on one page.
"""
