"""Whose tokens are taken, what is said to who is not admitted, and which keys fit."""

from __future__ import annotations

import asyncio
import json
import time

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from eventfold.schemas.errors import UsageError
from eventfold.web.oauth.algorithms import public_keys
from eventfold.web.oauth.bearer import Bearer, Open
from eventfold.web.oauth.denied import DeniedError
from eventfold.web.oauth.metadata import metadata, metadata_url
from eventfold.web.oauth.settings import OAuthSettings, is_loopback, is_safe
from eventfold.web.oauth.tokens import Caller
from tests.support.forged import REQUIRED, assembled

KEY = "0123456789abcdef0123456789abcdef"
GOOD = {
    "EVENTFOLD_OAUTH_ISSUER": "https://issuer.example/realms/one",
    "EVENTFOLD_OAUTH_AUDIENCE": "https://eventfold.example",
    "EVENTFOLD_ACTOR_KEY": KEY,
}


def settings(**changed: str) -> OAuthSettings | None:
    return OAuthSettings.from_environ({**GOOD, **{f"EVENTFOLD_{name}": value for name, value in changed.items()}})


def test_settings_are_read_from_the_environment() -> None:
    found = settings(OAUTH_JWKS_URL="https://keys.example/jwks?v=1")
    assert found is not None
    assert (found.issuer, found.audience) == ("https://issuer.example/realms/one", "https://eventfold.example")
    assert (found.jwks_url, found.actor_key) == ("https://keys.example/jwks?v=1", KEY.encode())
    assert KEY not in repr(found)


def test_off_must_be_said() -> None:
    assert OAuthSettings.from_environ({"EVENTFOLD_OAUTH": "off"}) is None
    assert OAuthSettings.from_environ({"EVENTFOLD_OAUTH": "off", "EVENTFOLD_ACTOR_KEY": KEY}) is None
    with pytest.raises(
        UsageError, match=r"EVENTFOLD_OAUTH_ISSUER, EVENTFOLD_OAUTH_AUDIENCE, EVENTFOLD_ACTOR_KEY must be set.*=off"
    ):
        OAuthSettings.from_environ({})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"OAUTH": "off"}, "EVENTFOLD_OAUTH=off and EVENTFOLD_OAUTH_ISSUER exclude"),
        ({"OAUTH": "no"}, "EVENTFOLD_OAUTH can only be off"),
        ({"OAUTH_AUDIENCE": " "}, "EVENTFOLD_OAUTH_AUDIENCE must be set"),
        ({"ACTOR_KEY": ""}, "EVENTFOLD_ACTOR_KEY must be set"),
        ({"ACTOR_KEY": KEY[:31]}, "EVENTFOLD_ACTOR_KEY is shorter than 32"),
        ({"OAUTH_ISSUER": "http://issuer.example"}, "EVENTFOLD_OAUTH_ISSUER must be a URL that begins with https://"),
        ({"OAUTH_ISSUER": "issuer.example"}, "EVENTFOLD_OAUTH_ISSUER must be a URL"),
        ({"OAUTH_ISSUER": "https://issuer.example?tenant=1"}, "no query"),
        ({"OAUTH_ISSUER": "https://issuer.example:port"}, "EVENTFOLD_OAUTH_ISSUER must be a URL"),
        ({"OAUTH_JWKS_URL": "http://127.0.0.1.example/jwks"}, "EVENTFOLD_OAUTH_JWKS_URL must be a URL"),
        ({"OAUTH_JWKS_URL": "https://me:secret-word@issuer.example/jwks"}, "EVENTFOLD_OAUTH_JWKS_URL is no plain URL"),
        ({"OAUTH_JWKS_URL": "https://issuer.example/a b"}, "EVENTFOLD_OAUTH_JWKS_URL is no plain URL"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        settings(**changed)
    assert KEY[:31] not in str(refused.value) and "secret-word" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_plain_http_is_safe_on_this_machine(host: str) -> None:
    assert is_loopback(host)
    url = f"http://[{host}]:8080/" if ":" in host else f"http://{host}:8080/"
    assert is_safe(url)
    assert settings(OAUTH_ISSUER=url) is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example", "", "127.0.0.1.example"])
def test_what_others_reach_is_no_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_when_off_everybody_is_nobody_and_may() -> None:
    assert asyncio.run(Open().admit(None, "flights:write")) == Caller(actor="", scopes=frozenset({"flights:write"}))


def test_where_the_address_is_not_known_no_metadata_is_named() -> None:
    assert DeniedError(401, "a token is needed").challenge == 'Bearer realm="eventfold"'


def test_the_metadata_names_the_issuer() -> None:
    found = settings()
    assert found is not None
    assert metadata(found, "https://eventfold.example", {"flights:write", "flights:read"}) == {
        "resource": "https://eventfold.example",
        "authorization_servers": ["https://issuer.example/realms/one"],
        "scopes_supported": ["flights:read", "flights:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "eventfold",
    }


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://eventfold.example", "https://eventfold.example/.well-known/oauth-protected-resource"),
        ("https://eventfold.example/", "https://eventfold.example/.well-known/oauth-protected-resource"),
        ("https://example:8443/log/", "https://example:8443/.well-known/oauth-protected-resource/log"),
    ],
)
def test_the_metadata_lies_where_rfc_9728_says(base: str, url: str) -> None:
    assert metadata_url(base) == url


def test_only_keys_that_fit_the_algorithms_are_taken() -> None:
    rsa, ec, okp = (key.generate_key() for key in (RSAKey, ECKey, OKPKey))
    fit = [key.as_dict(private=True) for key in (rsa, ec, okp)]
    others = [
        ECKey.generate_key("P-384").as_dict(private=False),
        ECKey.generate_key("secp256k1").as_dict(private=False),
        OKPKey.generate_key("X25519").as_dict(private=False),
        OKPKey.generate_key("Ed448").as_dict(private=False),
        {"kty": "RSA", "e": "AQAB", "n": "w" * 171},
        {**fit[0], "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]}, {"kty": "RSA"}, {"kty": "RSA", "n": 1, "e": 1}, {}, [], None, "key",
    ]  # fmt: skip
    assert public_keys(others) is None
    found = public_keys([*others, *fit])
    assert found is not None
    assert [key.key_type for key in found] == ["RSA", "EC", "OKP"]
    assert not any(key.is_private for key in found), "what an issuer should not show is not kept"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "x5t", "cty"]), ANYTHING)
CLAIMS = st.dictionaries(st.sampled_from([*REQUIRED, "nbf", "scope", "", "_now"]), ANYTHING)
SIGNING_KEY = RSAKey.generate_key(parameters={"kid": "one"})


class OneKey:
    """An issuer with one key."""

    async def get(self, kid: str | None) -> KeySet:
        return KeySet([SIGNING_KEY])


def admitted(authorization: str) -> bool:
    found = settings()
    assert found is not None
    try:
        return bool(asyncio.run(Bearer(found, OneKey()).admit(authorization)).actor)  # type: ignore[arg-type]
    except DeniedError:
        return False


@hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@given(header=HEADERS, claims=CLAIMS)
def test_whatever_a_signed_token_holds_it_is_admitted_or_denied(header: dict[str, object], claims: dict[str, object]) -> None:
    now = int(time.time())
    good = dict.fromkeys(REQUIRED, "x") | {
        "iss": GOOD["EVENTFOLD_OAUTH_ISSUER"], "aud": GOOD["EVENTFOLD_OAUTH_AUDIENCE"], "iat": now, "exp": now + 60,
    }  # fmt: skip
    payload = json.dumps({**good, **claims}).encode()
    token = assembled(
        {"alg": "RS256", "typ": "at+jwt", "kid": "one", **header},
        payload,
        lambda start: JWSRegistry.algorithms["RS256"].sign(start, SIGNING_KEY),
    )
    if admitted(f"Bearer {token}"):
        assert claims.keys() <= {"sub", "client_id", "jti", "iat", "exp", "nbf", "scope", "", "_now"}
        assert isinstance(claims.get("sub", "x"), str) and isinstance(claims.get("scope", ""), str)


@hypothesis.settings(deadline=None)
@given(st.text() | st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."))
def test_no_text_that_is_not_signed_is_admitted(text: str) -> None:
    assert not admitted(text)
    assert not admitted(f"Bearer {text}")
