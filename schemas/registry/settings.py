"""Which schema registry there is, and how to speak to it, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventfold.schemas.addresses import check_plain, hidden, shown
from eventfold.schemas.errors import UsageError

_PREFIX = "SCHEMA_REGISTRY_"
_URL = f"{_PREFIX}URL"
_AUTO = f"{_PREFIX}AUTO_REGISTER"
# A whitelist: others begin so too (a registry's own container image, the addresses of a service in Kubernetes).
_PROPERTIES = (
    "basic.auth.user.info",
    "bearer.auth.token", "bearer.auth.logical.cluster", "bearer.auth.identity.pool.id",
    "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password",
)  # fmt: skip
_SECRETS = ("basic.auth.user.info", "bearer.auth.token", "ssl.key.password")
_FLAGS = {"": True, "true": True, "false": False}
_USER = re.compile(r"//[^/@]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Where a registry is.

    url: `SCHEMA_REGISTRY_URL`, one address or several with commas between. properties: of Confluent's client, each
    `SCHEMA_REGISTRY_<PROPERTY>` with `_` for `.`: a user (`BASIC_AUTH_USER_INFO`, name:password) or a token
    (`BEARER_AUTH_TOKEN`), and what TLS needs. auto_register: whether what is missing is registered
    (`SCHEMA_REGISTRY_AUTO_REGISTER`, true if not set), or an error.
    """

    url: str = field(repr=False)
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    auto_register: bool = True

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RegistrySettings | None:
        """None where no registry is configured; UsageError names the variable that is wrong."""
        url = environ.get(_URL, "").strip()
        if not url:
            return None
        for one in map(str.strip, url.split(",")):
            if not re.match(r"https?://[^/]", one):
                raise UsageError(f"{_URL}: {shown(one)!r} is no address: it begins with http:// or https://")
            check_plain(_URL, one)
        properties = {name: value for name in _PROPERTIES if (value := environ.get(variable(name)))}
        if "bearer.auth.token" in properties and ("basic.auth.user.info" in properties or _USER.search(url)):
            raise UsageError(f"{variable('bearer.auth.token')} and a user's name and password are both set: one of them can be")
        if ":" not in properties.get("basic.auth.user.info", ":"):
            raise UsageError(f"{variable('basic.auth.user.info')} must be name:password")
        auto = environ.get(_AUTO, "").lower()
        if auto not in _FLAGS:
            raise UsageError(f"{_AUTO} must be true or false, not {auto!r}")
        return cls(url=url, properties=properties, auto_register=_FLAGS[auto])

    @property
    def shown(self) -> str:
        """The address without what may be secret."""
        return ",".join(shown(one.strip()) for one in self.url.split(","))

    def hidden(self, text: str) -> str:
        """What the client says, without what may be secret."""
        return hidden(text, [self.url, *self.url.split(","), *(self.properties.get(name, "") for name in _SECRETS)])

    def client(self) -> dict[str, Any]:
        """The configuration of Confluent's client."""
        config: dict[str, Any] = {"url": self.url, "timeout": 10, "max.retries": 2, "retries.wait.ms": 500, **self.properties}
        if "bearer.auth.token" in config:
            # Only Confluent's cloud has clusters to choose among; the client wants a name all the same.
            config = {"bearer.auth.credentials.source": "STATIC_TOKEN", "bearer.auth.logical.cluster": "", **config}
        return config


def variable(name: str) -> str:
    """The variable of a property."""
    return _PREFIX + name.upper().replace(".", "_")
