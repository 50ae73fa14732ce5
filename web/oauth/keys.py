"""The keys of an issuer (JWKS, RFC 7517): kept for five minutes, looked for anew when a token names another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx2
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from schemas.errors import UnavailableError
from web.oauth.settings import OAuthSettings

FRESH_S = 300.0
LONGEST_S = 3_600.0
SELDOM_S = 10.0
_TIMEOUT_S = 5.0
_MOST_BYTES = 1_000_000
_METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
log = structlog.get_logger("serve")


class IssuerKeys:
    """Asks the issuer once for however many requests; while it is away, what it said goes on to count for an hour."""

    def __init__(self, settings: OAuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asking = asyncio.Lock()
        self._keys: KeySet | None = None
        self._known: set[str] = set()
        self._got = self._asked = float("-inf")

    async def get(self, kid: str | None) -> KeySet:
        """The keys that tokens may be signed by; UnavailableError when the issuer never said them, or not for an hour.

        kid: the one that a token names: where it is not known, the issuer is asked again, but not twice in ten seconds, whatever
        tokens say.
        """
        if self._stale(kid):
            async with self._asking:
                if self._stale(kid):
                    await self._ask()
        if self._keys is None or self._clock() - self._got > LONGEST_S:
            raise UnavailableError(
                f"the keys of the issuer {self._settings.issuer} are not known: it does not answer as it should"
            )
        return self._keys

    def _stale(self, kid: str | None) -> bool:
        now = self._clock()
        if now - self._asked < SELDOM_S:
            return False
        return now - self._got > FRESH_S or (kid is not None and kid not in self._known)

    async def _ask(self) -> None:
        self._asked = self._clock()
        try:
            async with httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
                self._take(await _json(client, await self._address(client)))
        except (httpx2.HTTPError, ValueError, JoseError) as fault:
            log.warning("the issuer's keys cannot be had", issuer=self._settings.issuer, fault=repr(fault))

    async def _address(self, client: httpx2.AsyncClient) -> str:
        """Where the keys are: as the settings or the issuer's metadata (RFC 8414, OpenID Connect Discovery) say."""
        if self._settings.jwks_url:
            return self._settings.jwks_url
        for path in _METADATA:
            try:
                metadata = await _json(client, _well_known(self._settings.issuer, path))
            except (httpx2.HTTPStatusError, ValueError):
                continue
            if metadata.get("issuer") == self._settings.issuer and isinstance(metadata.get("jwks_uri"), str):
                return str(metadata["jwks_uri"])
        raise ValueError("its metadata does not say where its keys are: set LOGFOLD_OAUTH_JWKS_URL")

    def _take(self, found: dict[str, Any]) -> None:
        given = found.get("keys")
        usable = [key for key in given if _usable(key)] if isinstance(given, list) else []
        if not usable:
            raise ValueError("it has no public key for signatures")
        self._keys = KeySet.import_key_set({"keys": usable})
        self._known = {key["kid"] for key in usable if isinstance(key.get("kid"), str)}
        self._got = self._clock()


def _usable(key: Any) -> bool:
    """A public key to check signatures with; one that is a secret never is."""
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def _well_known(issuer: str, path: str) -> str:
    """RFC 8414 puts it between host and path, OpenID Connect behind the path."""
    url = httpx2.URL(issuer)
    own = url.path.rstrip("/")
    return str(url.copy_with(path=path + own if "oauth" in path else own + path))


async def _json(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise ValueError(f"{url} says too much")
    found = orjson.loads(bytes(body))
    if not isinstance(found, dict):
        raise ValueError(f"{url} is no JSON object")
    return found
