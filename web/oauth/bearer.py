"""Admits requests by their bearer token or, where OAuth2 is off, everybody."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from eventfold.schemas.errors import UnavailableError
from eventfold.web.oauth.denied import DeniedError
from eventfold.web.oauth.keys import IssuerKeys
from eventfold.web.oauth.metadata import metadata_url
from eventfold.web.oauth.settings import OAuthSettings
from eventfold.web.oauth.tokens import Caller, InvalidTokenError, Tokens

KEPT_S = 60.0
MOST_KEPT = 10_000


class Open:
    """Admits everybody; for a server that this machine alone reaches."""

    async def admit(self, authorization: str | None, *scopes: str) -> Caller:
        """Nobody in particular, who may do what is asked."""
        return Caller(scopes=frozenset(scopes))


class Bearer:
    """Admits who has a token of the issuer, for us, with the scopes that are needed.

    A token found good is not checked anew for KEPT_S, nor beyond its end: that takes 3 µs, a signature 70 (RS256) to 230
    (Ed25519). Kept are the hashes of the MOST_KEPT used last, not the tokens. base_url: the address by which clients know the
    server, when that is known.
    """

    def __init__(
        self, settings: OAuthSettings, keys: IssuerKeys, *, base_url: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self._tokens = Tokens(settings, keys, clock)
        self._metadata_url = metadata_url(base_url) if base_url else ""
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def admit(self, authorization: str | None, *scopes: str) -> Caller:
        """Who asks, by the value of the header `Authorization`, and has all of `scopes`; DeniedError for all others."""
        scheme, _, token = (authorization or "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise self._denied(401, "a bearer token is needed: Authorization: Bearer <access token>")
        try:
            caller = await self._caller(token)
        except InvalidTokenError as fault:
            raise self._denied(401, str(fault), error="invalid_token") from None
        except UnavailableError as fault:
            raise DeniedError(503, str(fault)) from fault
        if missing := [scope for scope in scopes if scope not in caller.scopes]:
            detail = f"the token lacks the scope {' '.join(missing)}"
            raise self._denied(403, detail, error="insufficient_scope", scope=" ".join(scopes))
        return caller

    async def _caller(self, token: str) -> Caller:
        mark = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        until, caller = self._good.get(mark, (0.0, None))
        if caller is not None and self._clock() < until:
            self._good.move_to_end(mark)
            return caller
        self._good.pop(mark, None)
        caller = await self._tokens.caller(token)
        self._good[mark] = min(self._clock() + KEPT_S, caller.expires), caller
        if len(self._good) > MOST_KEPT:
            self._good.popitem(last=False)
        return caller

    def _denied(self, status: int, detail: str, *, error: str = "", scope: str = "") -> DeniedError:
        return DeniedError(status, detail, error=error, scope=scope, metadata_url=self._metadata_url)
