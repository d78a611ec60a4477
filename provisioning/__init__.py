"""The service behind the triggers of `function_app.py`.

Dependency runs one way, and a test holds it:

    intake  registration  manifest  errors      what is asked, remembered and sent; know nothing of the outside
            ↑
          ports                                 the outside world, as Protocols
       ↑            ↑
    flows        adapters/                      `provision`, `notify`, `plan` use the ports; the adapters implement them
            ↑
          wiring  ←  settings                   joins them
            ↑
      function_app.py

Only `adapters/` and `wiring.py` import Azure's libraries, msal or requests. Only `settings.py` reads the environment,
but for the schedule of the timer in `function_app.py`.
Read `provision.py` first: it is the whole job on one page.
"""
