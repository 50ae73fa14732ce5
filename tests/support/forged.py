"""Tokens that an issuer would never give for eventfold, each wrong in one way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.jwk import Key, OctKey
from joserfc.jws import JWSRegistry

from tests.support.issuer import Issuer, new_key

SUBJECT = "ada.lovelace"
REQUIRED = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


def mint(
    it: Issuer,
    claims: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
    *,
    key: Key | None = None,
    signed_as: str = "",
    payload: bytes = b"",
) -> str:
    """A token as the issuer makes them, but for what is changed; a claim or header that is changed to None is left out.

    key: to sign with, by default the issuer's own. signed_as: the algorithm, by default the key's. payload: in place of claims.
    """
    key = key or it.keys[-1]
    now = int(time.time())
    all_claims = {
        "iss": it.url, "aud": it.audience, "sub": SUBJECT, "client_id": "board", "jti": secrets.token_hex(8),
        "iat": now, "exp": now + 600, "scope": "flights:read", **(claims or {}),
    }  # fmt: skip
    all_headers = {"alg": signed_as or key.alg, "typ": "at+jwt", "kid": key.kid, **(header or {})}
    algorithm = JWSRegistry.algorithms[all_headers["alg"]]
    return assembled(all_headers, payload or json.dumps(_given(all_claims)).encode(), lambda start: algorithm.sign(start, key))


def by_hand(it: Issuer, header: Mapping[str, Any], sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A token with good claims, with a header and a signature of one's own."""
    claims = base64.urlsafe_b64decode(mint(it).split(".")[1] + "==")
    return assembled({"typ": "at+jwt", **header}, claims, sign)


def hs256_with_public_key(it: Issuer) -> str:
    """Signed with the public key as the secret: good to who lets the token choose the algorithm."""
    key = it.keys[-1]
    secret = key.as_pem(private=False)
    return by_hand(it, {"alg": "HS256", "kid": key.kid}, lambda start: hmac.new(secret, start, hashlib.sha256).digest())


def assembled(header: Mapping[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """A token of these parts. sign: makes the signature of what stands before it."""
    start = f"{_b64(json.dumps(_given(header)).encode())}.{_b64(payload)}"
    return f"{start}.{_b64(sign(start.encode()))}"


def forgeries(it: Issuer) -> dict[str, tuple[str, str]]:
    """Every kind of wrong token by name, with why it is refused (a part of the sentence)."""
    now = int(time.time())
    stranger = new_key("RS256")
    shown = stranger.as_dict(private=False)
    own = it.keys[-1].kid
    good = mint(it).split(".")
    signed, algorithm, form = "not signed by a key of the issuer", "must be signed by one of RS256", "no signed JWT"
    return {
        "expired": (mint(it, {"exp": now - 31}), "expired"),
        "another audience": (mint(it, {"aud": "https://another.example"}), "another audience"),
        "audiences without ours": (mint(it, {"aud": ["https://another.example", f"{it.audience}/more"]}), "another audience"),
        "another issuer": (mint(it, {"iss": "https://another.example"}), "another issuer"),
        "almost our issuer": (mint(it, {"iss": f"{it.url}/"}), "another issuer"),
        "another key": (mint(it, key=stranger), signed),
        "another key under a known kid": (mint(it, header={"kid": own}, key=stranger), signed),
        "its own key in the header": (
            mint(it, header={"jwk": shown, "kid": own}, key=stranger),
            signed,
        ),
        "its own keys' address": (mint(it, header={"jku": f"{it.root}/evil", "kid": own}, key=stranger), signed),
        "alg none": (by_hand(it, {"alg": "none"}), algorithm),
        "alg none in capitals": (by_hand(it, {"alg": "NONE", "kid": own}), algorithm),
        "no alg": (by_hand(it, {"kid": own}), form),
        "HS256 with the public key": (hs256_with_public_key(it), algorithm),
        "HS256 with a secret": (mint(it, key=OctKey.generate_key(256, {"alg": "HS256", "kid": own})), algorithm),
        "an algorithm that is not on the list": (mint(it, signed_as="RS384"), algorithm),
        "another algorithm than the key's": (mint(it, signed_as="PS256"), signed),
        "no typ": (mint(it, header={"typ": None}), "no access token"),
        "an id token": (mint(it, header={"typ": "JWT"}), "no access token"),
        "crit": (mint(it, header={"crit": ["b64"], "b64": True}), "critical headers"),
        "not yet": (mint(it, {"nbf": now + 60}), "does not count yet"),
        "issued in the future": (mint(it, {"iat": now + 60}), "in the future"),
        "no number for exp": (mint(it, {"exp": str(now + 600)}), "the token's exp is not"),
        "true for exp": (mint(it, {"exp": True}), "the token's exp is not"),
        "no text for sub": (mint(it, {"sub": 7}), "the token's sub is not"),
        "an empty sub": (mint(it, {"sub": ""}), "the token's sub is not"),
        "a list for scope": (mint(it, {"scope": ["flights:read"]}), "scope is no text"),
        **{f"without {name}": (mint(it, {name: None}), f"asks for: {name}") for name in REQUIRED},
        "claims that are a list": (mint(it, payload=b"[1]"), "claims are no JSON object"),
        "claims that are no JSON": (mint(it, payload=b'{"exp": NaN}'), "claims are no JSON object"),
        "a changed claim": (f"{good[0]}.{_b64(json.dumps({'sub': 'root'}).encode())}.{good[2]}", signed),
        "no signature": (f"{good[0]}.{good[1]}.", signed),
        "one part": ("abcdef", form),
        "five parts": (".".join([*good, "a", "b"]), form),
        "no base64": ("a.b.c", form),
        "a list for a header": (f"{_b64(b'[1]')}.{good[1]}.{good[2]}", form),
        "deep brackets": (f"{_b64(b'[' * 3000)}.{good[1]}.{good[2]}", form),
        "a number for kid": (by_hand(it, {"alg": "RS256", "kid": 7}), form),
        "too long": (mint(it, {"more": "x" * 16_384}), "longer than"),
        "not ASCII": ("tokén.é.ü", form),
    }


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
