"""Whose tokens are taken."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from schemas.errors import UsageError

OFF = "off"
_LEAST_KEY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthSettings:
    """Who issues the tokens that are taken, and for whom.

    issuer: `LOGFOLD_OAUTH_ISSUER`. audience: `LOGFOLD_OAUTH_AUDIENCE`, which a token must be for. jwks_url:
    `LOGFOLD_OAUTH_JWKS_URL`, where the issuer's keys are; empty when its metadata says so. actor_key: `LOGFOLD_ACTOR_KEY`,
    the secret by which who asks becomes an opaque id.
    """

    issuer: str
    audience: str
    jwks_url: str = ""
    actor_key: bytes = field(repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> OAuthSettings | None:
        """None where `LOGFOLD_OAUTH=off` says so; UsageError says what is missing or wrong."""
        switch = environ.get("LOGFOLD_OAUTH", "")
        named = {name: environ.get(f"LOGFOLD_OAUTH_{name}", "") for name in ("ISSUER", "AUDIENCE", "JWKS_URL")}
        if switch == OFF:
            if given := [name for name, value in named.items() if value]:
                raise UsageError(f"LOGFOLD_OAUTH=off and LOGFOLD_OAUTH_{given[0]} exclude each other: leave out one")
            return None
        if switch:
            raise UsageError(f"LOGFOLD_OAUTH can only be off, not {switch!r}")
        for name in ("ISSUER", "AUDIENCE"):
            if not named[name]:
                raise UsageError(
                    f"LOGFOLD_OAUTH_{name} is not set: who serves must say whose tokens are taken and for whom, or, at a "
                    "loopback address alone, LOGFOLD_OAUTH=off"
                )
        for name in ("ISSUER", "JWKS_URL"):
            _check_url(f"LOGFOLD_OAUTH_{name}", named[name])
        key = environ.get("LOGFOLD_ACTOR_KEY", "").encode()
        if len(key) < _LEAST_KEY:
            raise UsageError(
                f"LOGFOLD_ACTOR_KEY must be a secret of at least {_LEAST_KEY} characters, the same on every server: "
                "`openssl rand -hex 32` makes one"
            )
        return cls(issuer=named["ISSUER"], audience=named["AUDIENCE"], jwks_url=named["JWKS_URL"], actor_key=key)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_url(name: str, url: str) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise UsageError(f"{name} must be a URL, not {url!r}")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageError(f"{name} must begin with https:// (http:// only on this machine): {url!r}")
