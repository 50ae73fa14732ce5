"""A schema registry of its own that lets nobody in without a password or a token."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import RSAKey

import stack_registry
from stack_plan import REGISTRY_API, Plan
from tests.support.deadline import eventually

ROLES = {"writer": "sr-developer", "reader": "sr-readonly"}
PASSWORD = "a:secret"
_BASIC = {
    "quarkus.http.auth.basic": "true",
    "quarkus.security.users.embedded.enabled": "true",
    "quarkus.security.users.embedded.plain-text": "true",
    **{f"quarkus.security.users.embedded.users.{name}": PASSWORD for name in ROLES},
    **{f"quarkus.security.users.embedded.roles.{name}": role for name, role in ROLES.items()},
}


@contextmanager
def by_password(libs: Path, folder: Path, port: int) -> Iterator[str]:
    """One that knows the users `writer` and `reader`; where it answers."""
    with _running(libs, folder, port, _BASIC) as url:
        yield url


class Issuer:
    """Issues tokens, and shows the key that they are checked by."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"kid": "one"})
        keys = json.dumps({"keys": [self._key.as_dict(private=False)]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def token(self, name: str, lasts_s: int = 600) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "sub": name, "upn": name, "groups": [ROLES[name]], "iat": now, "exp": now + lasts_s}
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)


@contextmanager
def by_token(libs: Path, folder: Path, port: int) -> Iterator[tuple[str, Issuer]]:
    """One that takes the tokens of an issuer; where it answers, and who issues them."""
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, daemon=True)
    thread.start()
    settings = {
        "quarkus.oidc.tenant-enabled": "true",
        "quarkus.oidc.auth-server-url": issuer.url,
        "quarkus.oidc.discovery-enabled": "false",
        "quarkus.oidc.jwks-path": "/keys",
        "quarkus.oidc.application-type": "service",
        "quarkus.oidc.roles.role-claim-path": "groups",
    }
    try:
        with _running(libs, folder, port, settings) as url:
            yield url, issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
        thread.join()


@contextmanager
def _running(libs: Path, folder: Path, port: int, settings: Mapping[str, str]) -> Iterator[str]:
    stack_registry.prepare(folder)
    command = stack_registry.command("java", libs, Plan(registry=True, registry_port=port), "guarded")
    more = [f"-D{name}={value}" for name, value in {**settings, "apicurio.auth.role-based-authorization": "true"}.items()]
    at = command.index("-jar")
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen([*command[:at], *more, *command[at:]], cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: _refuses(port) or process.poll() is not None, "the registry lets nobody in", 120)
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
        yield f"http://127.0.0.1:{port}{REGISTRY_API}"
    finally:
        process.terminate()
        process.wait(30)


def _refuses(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"{REGISTRY_API}/subjects")
        return connection.getresponse().status == 401
    except OSError:
        return False
    finally:
        connection.close()
