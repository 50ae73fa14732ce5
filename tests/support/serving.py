"""`eventfold serve` as a process of a sandbox."""

from __future__ import annotations

import re

from tests.support.daemon import Daemon
from tests.support.sandbox import Sandbox


def serve(sandbox: Sandbox, *args: str, port: str = "0", **environ: str) -> tuple[Daemon, str]:
    """The daemon and its address, once it answers there; open to everybody, unless `environ` says otherwise."""
    server = sandbox.start("serve", *args, "--port", port, **{"EVENTFOLD_OAUTH": "off", **environ})
    server.wait_for_log("event=serves")
    found = re.search(r"address=(\S+)", server.log)
    assert found is not None
    return server, found[1]
