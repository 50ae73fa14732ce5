"""What a daemon's log has of other people's libraries."""

from __future__ import annotations

import os
import subprocess
import sys

# In a process of its own: it sets up logging for all of one.
_ASK = """
import http.server, threading
from eventfold.tools.logs import configure
configure({})
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
from eventfold.kafka.schema_registry import Registry
from eventfold.schemas.registry.settings import RegistrySettings
print(Registry(RegistrySettings(url=f"http://127.0.0.1:{server.server_port}")).mode("flights.FlightArrived"))
"""


def test_a_request_to_the_registry_is_no_line_in_a_daemons_log() -> None:
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
