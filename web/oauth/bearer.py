"""Admits requests by their bearer token, or, where that is off, everybody."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from web.oauth.denied import denied
from web.oauth.keys import IssuerKeys
from web.oauth.settings import OAuthSettings

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_S = 30
KEPT_S = 60.0
_MOST_KEPT = 10_000
_LONGEST = 16_384
_TYPES = ("at+jwt", "application/at+jwt")
_CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: an id that tells nobody who that is, empty where it is not known; what they may do."""

    actor: str = ""
    scopes: frozenset[str] = frozenset()


class Open:
    """Admits everybody; for a server that this machine alone reaches."""

    async def admit(self, authorization: str | None, *scopes: str) -> Caller:
        """Nobody in particular, who may do everything."""
        return Caller(scopes=frozenset(scopes))


class Bearer:
    """Admits who has a token of the issuer, for us, with the scopes that are needed.

    A token that was found good is not checked anew for a minute, nor beyond its end: a signature costs as much as a query.
    """

    def __init__(self, settings: OAuthSettings, keys: IssuerKeys, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._good: dict[bytes, tuple[float, Caller]] = {}

    async def admit(self, authorization: str | None, *scopes: str) -> Caller:
        """Who asks, by the header `Authorization`.

        A ProblemError of 401 without a token or with one that is not good, of 403 when it lacks a scope; UnavailableError when
        the issuer's keys are not known.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise denied("a bearer token is needed: Authorization: Bearer <token>", error="")
        caller = await self._caller(token.strip())
        if missing := [scope for scope in scopes if scope not in caller.scopes]:
            wanted = " ".join(missing)
            raise denied(f"the token lacks the scope {wanted}", error="insufficient_scope", status=403, scope=wanted)
        return caller

    async def _caller(self, token: str) -> Caller:
        if len(token) > _LONGEST or not token.isascii():
            raise denied("the token is no JWT")
        mark, now = hashlib.sha256(token.encode()).digest(), self._clock()
        kept = self._good.get(mark)
        if kept is not None and kept[0] > now:
            return kept[1]
        claims = await self._claims(token)
        actor = hmac.new(self._settings.actor_key, f"{claims['iss']}\0{claims['sub']}".encode(), hashlib.sha256)
        scope = claims.get("scope", "")
        scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset[str]()
        caller = Caller(actor=actor.hexdigest()[:32], scopes=scopes)
        if len(self._good) >= _MOST_KEPT:
            self._good.clear()
        self._good[mark] = min(now + KEPT_S, claims["exp"] + LEEWAY_S), caller
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        header = _header(token)
        if header.get("alg") not in ALGORITHMS:
            raise denied(f"the token must be signed by one of {', '.join(ALGORITHMS)}")
        if str(header.get("typ", "")).lower() not in _TYPES:
            raise denied("the token is no access token (its typ is not at+jwt)")
        if "crit" in header:
            raise denied("the token has critical headers, which are not known here")
        kid = header.get("kid")
        keys = await self._keys.get(kid if isinstance(kid, str) else None)
        try:
            claims = jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, TypeError):
            raise denied("the token is not signed by a key of the issuer") from None
        self._check(claims)
        return claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        for name in _CLAIMS:
            if name not in claims:
                raise denied(f"the token has no {name}")
        if claims["iss"] != self._settings.issuer:
            raise denied("the token is of another issuer")
        audience = claims["aud"]
        if self._settings.audience not in (audience if isinstance(audience, list) else [audience]):
            raise denied("the token is for another audience")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise denied("the token's sub is no text")
        times = {name: claims.get(name, 0) for name in ("exp", "iat", "nbf")}
        if any(isinstance(at, bool) or not isinstance(at, int | float) for at in times.values()):
            raise denied("a time of the token is no number")
        now = self._clock()
        if times["exp"] + LEEWAY_S <= now:
            raise denied("the token has expired")
        if max(times["iat"], times["nbf"]) - LEEWAY_S > now:
            raise denied("the token does not count yet")


def _header(token: str) -> dict[str, Any]:
    try:
        found = orjson.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
    except ValueError:
        found = None
    if not isinstance(found, dict) or token.count(".") != 2:
        raise denied("the token is no JWT")
    return found
