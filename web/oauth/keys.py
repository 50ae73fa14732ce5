"""The keys of an issuer (JWKS, RFC 7517): kept for five minutes, asked for anew when a token names another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx2
import structlog
from joserfc.jwk import KeySet

from eventfold.schemas.addresses import hidden
from eventfold.schemas.errors import UnavailableError
from eventfold.web.oauth.algorithms import public_keys
from eventfold.web.oauth.discovery import get_json, jwks_url
from eventfold.web.oauth.settings import OAuthSettings, is_loopback

FRESH_S = 300.0
OLDEST_S = 3_600.0
SELDOM_S = 10.0
# Less than SELDOM_S: one answer has come, or not, before the next is asked for.
WITHIN_S = 5.0
log = structlog.get_logger("serve")


class IssuerKeys:
    """What the issuer says, asked once for however many requests.

    While the issuer is away, what it said last goes on to count until it is OLDEST_S old. It is asked at most every SELDOM_S,
    however many keys tokens make up. clock: seconds, monotonic.
    """

    def __init__(self, settings: OAuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: KeySet | None = None
        self._known: frozenset[str | None] = frozenset()
        self._got = self._asked = float("-inf")
        self._away = False
        # A task of its own: it outlives the request that started it, whose client may hang up.
        self._asking: asyncio.Task[None] | None = None

    async def get(self, kid: str | None) -> KeySet:
        """The keys that tokens may be signed by; UnavailableError when the issuer does not say them.

        kid: the key that a token names. Waits for the issuer when the key is not known, or when it is time to ask again; but
        not for one that did not answer the last time, as long as what it said before still counts.
        """
        old = self._clock() - self._got > FRESH_S
        if (old or self._lacks(kid)) and self._clock() - self._asked >= SELDOM_S:
            self._asked = self._clock()
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None and (self._lacks(kid) or (old and not self._away)):
            await asyncio.shield(self._asking)
        # One that is away may have the key that is lacking: it cannot be told that the token is wrong.
        if self._keys is None or self._outdated() or (self._away and self._lacks(kid)):
            raise UnavailableError(f"the keys of the issuer {self._settings.issuer} cannot be had: ask again later")
        return self._keys

    def _lacks(self, kid: str | None) -> bool:
        return self._keys is None or self._outdated() or (kid is not None and kid not in self._known)

    def _outdated(self) -> bool:
        return self._clock() - self._got > OLDEST_S

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._fetch()
            keys = public_keys(found["keys"]) if isinstance(found.get("keys"), list) else None
            if keys is None:
                raise ValueError("it has no public key that fits")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as fault:
            self._away = True
            says = hidden(repr(fault), [self._settings.jwks_url])
            log.warning("the issuer's keys cannot be had", issuer=self._settings.issuer, fault=says)
        else:
            self._keys, self._known = keys, frozenset(key.kid for key in keys)
            self._got, self._away = self._clock(), False
        finally:
            self._asking = None

    async def _fetch(self) -> dict[str, Any]:
        # Between this machine and itself there is no proxy, whatever the environment says.
        trust = not is_loopback(httpx2.URL(self._settings.issuer).host)
        async with httpx2.AsyncClient(timeout=WITHIN_S, follow_redirects=False, trust_env=trust) as client:
            return await get_json(client, self._settings.jwks_url or await jwks_url(client, self._settings.issuer))
