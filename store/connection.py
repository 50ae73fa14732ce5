"""Where Redis is, and its client: other rooms take both from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import redis.asyncio
from redis import Redis
from redis.exceptions import RedisError

from eventfold.schemas.errors import UsageError

__all__ = ["Redis", "RedisError", "RedisSettings"]
_TIMEOUT_S = 30
_LOOP_TIMEOUT_S = 5
# What may stand behind the `?` of REDIS_URL: who connects, to which database, and how the connection is kept and secured. Any
# other parameter is the client's own: decode_responses, encoding or protocol change what it returns, max_connections and the
# timeouts end waits that are bounded here.
_PARAMETERS = frozenset({"db", "username", "password", "client_name", "health_check_interval", "socket_keepalive"})
_TLS_PARAMETERS = frozenset(
    {
        "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers", "ssl_keyfile",
        "ssl_min_version", "ssl_password",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """`REDIS_URL`, by default redis://127.0.0.1:6379/0.

    UsageError for a parameter of the address that is not allowed.
    """

    url: str = "redis://127.0.0.1:6379/0"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RedisSettings:
        return cls(url=environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0")

    def __post_init__(self) -> None:
        scheme, _, rest = self.url.partition("://")
        allowed = _PARAMETERS | (_TLS_PARAMETERS if scheme == "rediss" else frozenset())
        for name, _ in parse_qsl(rest.partition("?")[2].partition("#")[0], keep_blank_values=True):
            if "@" in name:
                # Not a parameter but the rest of a password, which no message may show.
                raise UsageError("REDIS_URL: write a question mark in a user's name or password as %3F")
            if name not in allowed:
                of_tls = ", which is of rediss:// alone" if name in _TLS_PARAMETERS else ""
                raise UsageError(
                    f"REDIS_URL: the parameter {name!r} cannot be set here{of_tls}: take it out; allowed are "
                    f"{', '.join(sorted(allowed))}"
                )

    def connect(self) -> Redis:
        """A client; it connects with the first command."""
        try:
            return Redis.from_url(self.url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=5)
        except ValueError as error:
            raise UsageError(f"REDIS_URL: {error}") from error

    def connect_on_loop(self) -> redis.asyncio.Redis:
        """A client for an event loop, which gives up sooner: somebody waits."""
        try:
            return redis.asyncio.Redis.from_url(self.url, socket_timeout=_LOOP_TIMEOUT_S, socket_connect_timeout=5)
        except ValueError as error:
            raise UsageError(f"REDIS_URL: {error}") from error
