"""Where Redis is, and its client: other rooms take both from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import redis.asyncio
from redis import Redis
from redis.exceptions import RedisError

from eventfold.schemas.addresses import check_plain
from eventfold.schemas.errors import UsageError

__all__ = ["Redis", "RedisError", "RedisSettings"]
_TIMEOUT_S = 30
_LOOP_TIMEOUT_S = 5
# What may stand behind the `?` of REDIS_URL: who connects, to which database, and how the connection is kept and secured. Any
# other parameter is the client's own: decode_responses, encoding or protocol change what it returns, max_connections and the
# timeouts end waits that are bounded here.
_PARAMETERS = frozenset({"db", "username", "password", "client_name", "health_check_interval", "socket_keepalive"})
_CLIENTS_OWN = frozenset(
    {
        "decode_responses", "encoding", "encoding_errors", "legacy_responses", "max_connections", "protocol",
        "retry_on_timeout", "socket_connect_timeout", "socket_timeout", "timeout",
    }
)  # fmt: skip
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

    url: str = field(default="redis://127.0.0.1:6379/0", repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RedisSettings:
        return cls(url=environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0")

    def __post_init__(self) -> None:
        check_plain("REDIS_URL", self.url)
        scheme, _, rest = self.url.partition("://")
        allowed = _PARAMETERS | (_TLS_PARAMETERS if scheme == "rediss" else frozenset())
        for name, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True):
            if name not in allowed:
                # Any other name may be the rest of a password that has a `&`, and no message may show that.
                what = f"parameter {name!r}" if name in _CLIENTS_OWN | _TLS_PARAMETERS else "parameter that it has"
                of_tls = ", which is of rediss:// alone" if name in _TLS_PARAMETERS else ""
                raise UsageError(
                    f"REDIS_URL: the {what} cannot be set here{of_tls}: take it out; allowed are {', '.join(sorted(allowed))}"
                )

    def connect(self) -> Redis:
        """A client; it connects with the first command."""
        try:
            return Redis.from_url(self.url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=5)
        except ValueError as error:
            raise _wrong(error) from None

    def connect_on_loop(self) -> redis.asyncio.Redis:
        """A client for an event loop, which gives up sooner: somebody waits."""
        try:
            return redis.asyncio.Redis.from_url(self.url, socket_timeout=_LOOP_TIMEOUT_S, socket_connect_timeout=5)
        except ValueError as error:
            raise _wrong(error) from None


def _wrong(error: ValueError) -> UsageError:
    """Of what stands where a port should be the client shows what may be a password."""
    says = str(error)
    return UsageError(f"REDIS_URL: {'its port is no number from 0 to 65535' if says.startswith('Port ') else says}")
