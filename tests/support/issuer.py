"""A real OAuth2 issuer on loopback, made with authlib: client credentials in, JWT access tokens (RFC 9068) out.

`with issuer() as it: it.token(scope="flights:read", client="board")`; what eventfold must be set to for it is `it.environ()`.
Tokens that it would never issue are made by tests/support/forged.py.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc.jwk import Key, KeySet, generate_key

AUDIENCE = "https://eventfold.example"
ACTOR_KEY = "a secret of these tests, long enough"
RFC8414 = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
JWKS = "/jwks"
LASTS_S = 600
Answer = tuple[int, Any, Any]
_KINDS = {"RS256": ("RSA", 2048), "PS256": ("RSA", 2048), "ES256": ("EC", "P-256"), "Ed25519": ("OKP", "Ed25519")}


def new_key(alg: str, **more: Any) -> Key:
    """A key to sign with, with a `kid` of its own."""
    kind, size = _KINDS[alg]
    return generate_key(kind, size, {"kid": secrets.token_hex(4), "use": "sig", "alg": alg, **more})


class Issuer:
    """What tests see of it. It knows every client by name, and grants every scope that is asked for.

    keys: what its JWKS shows, after whatever is in `shown`; the last one signs (authlib does with RS256 and ES256 alone).
    answers: of GET, by path, which a test may change: (status, JSON, headers). asked: how often each path was. away: whether
    it answers nothing but 503. speaks: while cleared, it takes requests and says nothing.
    """

    def __init__(self, path: str) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = False
        self._server.issuer = self  # type: ignore[attr-defined]
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}{path}"
        self.secret = secrets.token_hex(16)
        self.audience = AUDIENCE
        self.keys: list[Key] = [new_key("RS256")]
        self.shown: list[Mapping[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Answer] = {f"{RFC8414}{path}": (200, self.metadata(), [])}
        self.away = False
        self.speaks = threading.Event()
        self.speaks.set()
        self._oauth = _AuthorizationServer(self)

    @contextmanager
    def running(self) -> Iterator[Issuer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.speaks.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def environ(self, **more: str) -> dict[str, str]:
        """The settings by which eventfold takes its tokens."""
        named = {
            "EVENTFOLD_OAUTH_ISSUER": self.url,
            "EVENTFOLD_OAUTH_AUDIENCE": self.audience,
            "EVENTFOLD_ACTOR_KEY": ACTOR_KEY,
        }
        return {**named, **more}

    def token(self, scope: str = "", client: str = "board") -> str:
        """An access token, asked for over HTTP as a client does."""
        basic = base64.b64encode(f"{client}:{self.secret}".encode()).decode()
        form = urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
        request = urllib.request.Request(f"{self.root}/token", form, {"Authorization": f"Basic {basic}"})
        with _direct.open(request, timeout=10) as response:
            return str(json.load(response)["access_token"])

    def rotate(self, alg: str = "RS256", *, keep: bool = True, **more: Any) -> Key:
        """Sign with a new key from now on; without `keep` the ones before are no longer shown."""
        self.keys = [*(self.keys if keep else []), new_key(alg, **more)]
        return self.keys[-1]

    def metadata(self, **changed: Any) -> dict[str, Any]:
        """What it says of itself (RFC 8414)."""
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.root}/token",
            "jwks_uri": f"{self.root}{JWKS}",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            **changed,
        }

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What it says to a request."""
        self.asked[path] += 1
        self.speaks.wait()
        if self.away:
            return 503, {}, []
        if method == "POST" and path == "/token":
            return self._oauth.create_token_response((f"{self.root}{path}", headers, dict(parse_qsl(body.decode()))))
        if path == JWKS and path not in self.answers:
            return 200, {"keys": [*self.shown, *(key.as_dict(private=False) for key in self.keys)]}, []
        return self.answers.get(path, (404, {}, []))


@contextmanager
def issuer(path: str = "") -> Iterator[Issuer]:
    """One that runs. path: of its URL, for those that have one."""
    with Issuer(path).running() as it:
        yield it


class _Client(ClientMixin):
    def __init__(self, name: str, secret: str) -> None:
        self.name = name
        self._secret = secret

    def get_client_id(self) -> str:
        return self.name

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self._secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class _Generator(JWTBearerTokenGenerator):
    def __init__(self, it: Issuer) -> None:
        super().__init__(issuer=it.url, expires_generator=LASTS_S)
        self._it = it

    def access_token_generator(self, client: _Client, grant_type: str, user: object, scope: str) -> str:
        self.alg = self._it.keys[-1].alg
        return str(super().access_token_generator(client, grant_type, user, scope))

    def get_jwks(self) -> KeySet:
        return KeySet([self._it.keys[-1]])

    def get_audiences(self, client: _Client, user: object, scope: str) -> str:
        return self._it.audience


class _Request(OAuth2Request):
    def __init__(self, uri: str, headers: Mapping[str, str], form: Mapping[str, str]) -> None:
        super().__init__("POST", uri, headers=headers)
        self.payload = BasicOAuth2Payload(form)


class _AuthorizationServer(AuthorizationServer):
    def __init__(self, it: Issuer) -> None:
        super().__init__()
        self._it = it
        self.register_grant(ClientCredentialsGrant)
        self.register_token_generator("default", _Generator(it))

    def query_client(self, client_id: str) -> _Client:
        return _Client(client_id, self._it.secret)

    def save_token(self, token: object, request: object) -> None:
        pass

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        pass

    def create_oauth2_request(self, request: tuple[str, Mapping[str, str], Mapping[str, str]]) -> _Request:
        return _Request(*request)

    def handle_response(self, status: int, body: Any, headers: Any) -> Answer:
        return status, body, headers


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        status, found, headers = self.server.issuer.answer(self.command, self.path, self.headers, body)  # type: ignore[attr-defined]
        data = json.dumps(found).encode()
        self.send_response(status)
        for name, value in headers or [("Content-Type", "application/json")]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        # Who gave up waiting is gone by now.
        with suppress(ConnectionError):
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


# No proxy stands between this machine and itself.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
