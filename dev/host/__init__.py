"""A stand-in for `func start`: serves the functions of function_app.py on this machine, for development and tests.

It reads the app's own decorators, `host.json` and the settings, and does what the real host does with HTTP, queue and
timer triggers and with HTTP and queue outputs. Storage is real: a storage account, or Azurite. With CALLER_AUTH=entra
App Service Authentication stands in front of it, for the emulated tenant (`platform.py`).

Limits, all on purpose:

- `functionTimeout` is not enforced: a thread cannot be interrupted. Scale-out, sampling and metrics are not played.
- Async functions run in a loop of their own per call, in a thread; the real worker runs them all in one loop.
- Of host.json it reads `extensions.http.routePrefix` and `extensions.queues`. Of bindings it serves those above, and
  refuses others, as it refuses retry policies and route constraints other than int, alpha and guid.
- Timers know no past: `useMonitor` stores nothing, and two hosts on one storage both fire.
- One key stands for function, host and master keys. There is no CORS, no home page and of the administration only
  `POST /admin/functions/{name}` and `GET /admin/host/status`.
- As in the real host, a method that no function of a route takes is 404 (also HEAD on GET), and a message whose
  function was killed comes back after the message lease.
"""

from dev.host.process import HostProcess
from dev.host.run import Host
from dev.host.settings import HostError

__all__ = ["Host", "HostError", "HostProcess"]
