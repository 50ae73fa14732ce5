"""Whose tokens are taken, read once from the environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from eventfold.schemas.addresses import shown
from eventfold.schemas.errors import UsageError

OFF = "off"
SHORTEST_KEY = 32
_SWITCH = "EVENTFOLD_OAUTH"
_ISSUER, _AUDIENCE, _JWKS_URL = f"{_SWITCH}_ISSUER", f"{_SWITCH}_AUDIENCE", f"{_SWITCH}_JWKS_URL"
_ACTOR_KEY = "EVENTFOLD_ACTOR_KEY"
_BASE_URL = "EVENTFOLD_BASE_URL"
_NAMES = (_SWITCH, _ISSUER, _AUDIENCE, _JWKS_URL, _BASE_URL, _ACTOR_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthSettings:
    """Who issues the tokens that are taken, and for whom.

    issuer: `EVENTFOLD_OAUTH_ISSUER`, a URL, written as the tokens' `iss` is. audience: `EVENTFOLD_OAUTH_AUDIENCE`, which a
    token's `aud` must contain. jwks_url: `EVENTFOLD_OAUTH_JWKS_URL`, where its keys are; empty when its metadata says so.
    base_url: `EVENTFOLD_BASE_URL`, the address by which clients know the server; empty when they need not be told.
    actor_key: `EVENTFOLD_ACTOR_KEY`, the secret that makes an opaque id of who asks; it must be the same on every server.
    """

    issuer: str
    audience: str
    jwks_url: str = field(default="", repr=False)
    base_url: str = ""
    actor_key: bytes = field(repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> OAuthSettings | None:
        """None where `EVENTFOLD_OAUTH=off`; UsageError says what to set, and never shows the key."""
        given = {
            name: environ.get(name, "").strip() for name in (_SWITCH, _ISSUER, _AUDIENCE, _JWKS_URL, _BASE_URL, _ACTOR_KEY)
        }
        switch = given.pop(_SWITCH)
        if switch == OFF:
            if contrary := [name for name in (_ISSUER, _AUDIENCE, _JWKS_URL) if given[name]]:
                raise UsageError(f"{_SWITCH}={OFF} and {contrary[0]} exclude each other: leave out one of them")
            return None
        if switch:
            raise UsageError(f"{_SWITCH} can only be {OFF}, not {switch!r}; it is on where {_ISSUER} is set")
        if missing := [name for name in (_ISSUER, _AUDIENCE, _ACTOR_KEY) if not given[name]]:
            raise UsageError(
                f"{', '.join(missing)} must be set: whose tokens are taken, for which audience, and a secret that hides who"
                f" asks (`openssl rand -hex 32` makes one). {_SWITCH}={OFF} lets everybody in, and serves this machine alone"
            )
        _check_url(_ISSUER, given[_ISSUER], query=False)
        if given[_JWKS_URL]:
            _check_url(_JWKS_URL, given[_JWKS_URL])
        if given[_BASE_URL]:
            _check_url(_BASE_URL, given[_BASE_URL], query=False)
        if len(given[_ACTOR_KEY]) < SHORTEST_KEY:
            raise UsageError(f"{_ACTOR_KEY} is shorter than {SHORTEST_KEY} characters: `openssl rand -hex 32` makes one")
        return cls(
            issuer=given[_ISSUER],
            audience=given[_AUDIENCE],
            jwks_url=given[_JWKS_URL],
            base_url=given[_BASE_URL].rstrip("/"),
            actor_key=given[_ACTOR_KEY].encode(errors="surrogateescape"),
        )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what a URL answers: https, or plain http to this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host or "")))


def _check_url(name: str, url: str, *, query: bool = True) -> None:
    # Not shown where it may hold a password.
    if not url.isprintable() or " " in url or "@" in url:
        raise UsageError(f"{name} is no plain URL: it must have neither spaces nor a user's name")
    if not is_safe(url):
        what = f"{name} must be a URL that begins with https:// (http:// at a loopback address alone)"
        raise UsageError(f"{what}, not {shown(url)!r}")
    if not query and ("?" in url or "#" in url):
        raise UsageError(f"{name} must have no query and no fragment")
