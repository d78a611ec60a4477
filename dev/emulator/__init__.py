"""An emulator of the parts of Azure that the registrar talks to, for development and tests. Memory only.

    emulator = Emulator()                       # in process: emulator.session() answers without a socket
    emulator.faults.add(Fault("status", "graph.addPassword", "after", status=503))
    emulator.faults.set(replication_lag=8, replicas=2, secret_propagation=20, flapping=10)

    with EmulatorServer(folder) as server:      # dev.emulator.server: over TLS, for other processes
        ...                                     # server.origin, server.ca_bundle, server.emulator

Over HTTP the same is `POST /_emulator/faults` with `{"rules": [{"kind": "status", "operation": "graph.addPassword",
"when": "after", "status": 503}], "switches": {"replicationLag": 8, "replicas": 2}}`. The rules are those of
Microsoft's documents, read strictly; where documents and reports disagree, the one that refuses more.

Imports run one way, from below to above, and a test holds it:

    constants  errors  faults  pages  shapes  what all share
       ↑
    http/                                     requests and answers; words, not rules
       ↑          ↑
    graph/      vault/     arm/               a room for each service
       ↑          ↑
    sts/          ↑                           gives tokens to what the directory holds
       ↑          ↑
    management.py                             the emulator's own addresses
       ↑
    emulator.py                               joins them
       ↑
    client.py  server.py                      from this process; over TLS, from others

No room imports this module: it is the door for those outside.
"""

from dev.emulator.constants import SECRET_MARKER, TENANT_ID, TOKEN_MARKERS
from dev.emulator.emulator import Emulator
from dev.emulator.faults import Fault, Switches
from dev.emulator.http.exchange import Call

__all__ = ["SECRET_MARKER", "TENANT_ID", "TOKEN_MARKERS", "Call", "Emulator", "Fault", "Switches"]
