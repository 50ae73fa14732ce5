"""Access tokens: JWTs (RFC 9068) that the issuer signed for us."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import KeySet
from joserfc.jws import CompactSignature
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.json_text import parse_json
from eventfold.web.oauth.algorithms import ALGORITHMS, LONGEST_TOKEN, signatures
from eventfold.web.oauth.keys import IssuerKeys
from eventfold.web.oauth.settings import OAuthSettings

LEEWAY_S = 30
_TYPES = ("at+jwt", "application/at+jwt")
_WRONG = {
    "iss": "the token is from another issuer",
    "aud": "the token is for another audience",
    "iat": "the token was issued in the future",
    "nbf": "the token does not count yet",
}


class InvalidTokenError(EventfoldError):
    """Why a token is not taken, in a sentence that holds nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    actor: an id that tells nobody who that is: HMAC-SHA256 of issuer and subject, 32 hex digits; empty where nobody is known.
    kind: `client` where a client asks for itself, else `person`. scopes: what the token allows. expires: when it ends (seconds
    since 1970).
    """

    actor: str = ""
    kind: str = ""
    scopes: frozenset[str] = frozenset()
    expires: float = math.inf

    def left_s(self) -> float:
        """For how long the token is still taken, the leeway included; no wait and no stream of its bearer lasts longer."""
        return self.expires + LEEWAY_S - time.time()


class Tokens:
    """Checks tokens. clock: seconds since 1970."""

    def __init__(self, settings: OAuthSettings, keys: IssuerKeys, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys
        self._signatures = signatures()
        needed: ClaimsOption = {"essential": True}
        self._claims = JWTClaimsRegistry(
            # Rounded up: a token is taken for no longer than `Caller.left_s` says.
            now=lambda: math.ceil(clock()),
            leeway=LEEWAY_S,
            iss={**needed, "value": settings.issuer},
            aud={**needed, "value": settings.audience},
            **dict.fromkeys(("exp", "sub", "client_id", "iat", "jti"), needed),
        )

    async def caller(self, token: str) -> Caller:
        """Whose token it is; InvalidTokenError when it is not good, UnavailableError when its issuer's keys cannot be had."""
        signed = self._read(token)
        keys = await self._keys.get(signed.headers().get("kid"))
        self._verify(signed, keys)
        claims = self._checked(signed.payload)
        asks = f"{self._settings.issuer}\0{claims['sub']}".encode()
        actor = hmac.new(self._settings.actor_key, asks, hashlib.sha256).hexdigest()[:32]
        kind = "client" if claims["sub"] == claims["client_id"] else "person"
        return Caller(actor=actor, kind=kind, scopes=frozenset(claims.get("scope", "").split()), expires=float(claims["exp"]))

    def _read(self, token: str) -> CompactSignature:
        """The token taken apart, when its header is one that we take. Nothing is verified yet."""
        if len(token) > LONGEST_TOKEN:
            raise InvalidTokenError(f"the token is longer than {LONGEST_TOKEN:,} characters")
        try:
            signed = jws.extract_compact(token.encode(), registry=self._signatures)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise InvalidTokenError("the token is no signed JWT") from None
        header: Any = signed.headers()
        if not isinstance(header, dict) or not isinstance(header.get("kid", ""), str):
            raise InvalidTokenError("the token is no signed JWT")
        if header["alg"] not in ALGORITHMS:
            raise InvalidTokenError(f"the token must be signed by one of {', '.join(ALGORITHMS)}")
        if str(header.get("typ")).lower() not in _TYPES:
            raise InvalidTokenError("the token is no access token: its typ is not at+jwt")
        if "crit" in header:
            raise InvalidTokenError("the token has critical headers, and none is understood here")
        return signed

    def _verify(self, signed: CompactSignature, keys: KeySet) -> None:
        try:
            good = jws.validate_compact(signed, keys, registry=self._signatures)
        except (JoseError, ValueError, TypeError):
            good = False
        if not good:
            raise InvalidTokenError("the token is not signed by a key of the issuer")

    def _checked(self, payload: bytes) -> dict[str, Any]:
        try:
            claims = parse_json(payload)
        except ValueError:
            claims = None
        if not isinstance(claims, dict):
            raise InvalidTokenError("the token's claims are no JSON object")
        try:
            self._claims.validate(claims)
        except MissingClaimError as fault:
            raise InvalidTokenError(f"the token lacks what RFC 9068 asks for: {fault.claim}") from None
        except ExpiredTokenError:
            raise InvalidTokenError("the token has expired") from None
        except InvalidClaimError as fault:
            raise InvalidTokenError(_WRONG.get(fault.claim, f"the token's {fault.claim} is not as it should be")) from None
        if not isinstance(claims.get("scope", ""), str):
            raise InvalidTokenError("the token's scope is no text")
        return claims
