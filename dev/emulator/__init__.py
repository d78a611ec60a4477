"""An emulator of the parts of Azure that the registrar talks to, for development and tests. Memory only.

    emulator = Emulator()                       # in process: emulator.session() answers without a socket
    emulator.faults.add(Fault("status", "graph.addPassword", "after", status=503))
    emulator.faults.set(replication_lag=8, replicas=2, secret_propagation=20, flapping=10)

    with EmulatorServer(folder) as server:      # dev.emulator.server: over TLS, for other processes
        ...                                     # server.origin, server.ca_bundle, server.emulator

Over HTTP the same is `POST /_emulator/faults` with `{"rules": [{"kind": "status", "operation": "graph.addPassword",
"when": "after", "status": 503}], "switches": {"replicationLag": 8, "replicas": 2}}`. The rules are those of
Microsoft's documents, read strictly; where documents and reports disagree, the one that refuses more.
"""

from dev.emulator.constants import SECRET_MARKER, TENANT_ID
from dev.emulator.emulator import Emulator
from dev.emulator.exchange import Call
from dev.emulator.faults import Fault, Switches

__all__ = ["SECRET_MARKER", "TENANT_ID", "Call", "Emulator", "Fault", "Switches"]
