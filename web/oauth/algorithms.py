"""The signatures that are taken, and the keys that fit them; the lists are fixed, whatever a token or an issuer names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

LONGEST_TOKEN = 16_384
_LEAST_RSA_BYTES = 256
_SECRET = ("d", "p", "q", "dp", "dq", "qi", "oth")


# `EdDSA` is the older name of `Ed25519` (RFC 9864), which many issuers still write; here it is that alone, not Ed448.
_NAMES = {name: name for name in ("RS256", "PS256", "ES256", "Ed25519")} | {"EdDSA": "Ed25519"}
ALGORITHMS = tuple(_NAMES)


def signatures() -> JWSRegistry:
    """joserfc's algorithms without all others: no `none`, no HMAC.

    Headers that it does not know are no fault (RFC 7515, section 4), and may be as long as a token.
    """
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.algorithms = {name: JWSRegistry.algorithms[of] for name, of in _NAMES.items()}
    registry.max_header_length = LONGEST_TOKEN
    return registry


def public_keys(jwks: Iterable[Any]) -> KeySet | None:
    """Those of a JWKS that signatures can be checked with, None when there are none; what else it holds is passed over.

    Not taken: secrets (`oct`), keys for encryption, RSA below 2048 bits (RFC 7518, section 3.3), other curves.
    """
    found = [key for each in jwks if isinstance(each, dict) and (key := _key(each)) is not None]
    return KeySet(found) if found else None


def _key(jwk: dict[str, Any]) -> Key | None:
    if jwk.get("use", "sig") != "sig":
        return None
    public: Any = {name: value for name, value in jwk.items() if name not in _SECRET}
    try:
        match public.get("kty"), public.get("crv"):
            case "RSA", _:
                return RSAKey.import_key(public) if len(urlsafe_b64decode(public["n"].encode())) >= _LEAST_RSA_BYTES else None
            case "EC", "P-256":
                return ECKey.import_key(public)
            case "OKP", "Ed25519":
                # Its curve says all; the name in `alg` may be either of the two.
                public.pop("alg", None)
                return OKPKey.import_key(public)
    except (JoseError, ValueError, TypeError, LookupError, AttributeError):
        pass
    return None
