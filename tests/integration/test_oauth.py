"""Who may ask: tokens of a real OAuth2 issuer on loopback, and those that it would never issue."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import KeySet
from structlog.testing import capture_logs

import eventfold.web.oauth.bearer
from eventfold.web.oauth.bearer import Bearer
from eventfold.web.oauth.denied import DeniedError
from eventfold.web.oauth.keys import IssuerKeys
from eventfold.web.oauth.settings import OAuthSettings
from eventfold.web.oauth.tokens import Caller
from tests.support.forged import SUBJECT, forgeries, mint
from tests.support.issuer import ACTOR_KEY, JWKS, RFC8414, Issuer, issuer

BASE = "https://eventfold.example"
METADATA = f'resource_metadata="{BASE}/.well-known/oauth-protected-resource"'


class Door:
    """A Bearer whose two clocks stand, `later` seconds after the start."""

    def __init__(self, it: Issuer, **settings: str) -> None:
        self.later = 0.0
        start = time.time()
        found = OAuthSettings.from_environ(it.environ(**settings))
        assert found is not None
        self.looked_up = 0
        self._keys = IssuerKeys(found, clock=lambda: self.later)
        self._bearer = Bearer(found, self, base_url=BASE, clock=lambda: start + self.later)  # type: ignore[arg-type]

    async def get(self, kid: str | None) -> KeySet:
        """The issuer's keys, for which only a token that is verified is looked up."""
        self.looked_up += 1
        return await self._keys.get(kid)

    async def come(self, token: str, *scopes: str) -> Caller:
        return await self._bearer.admit(f"Bearer {token}", *scopes)

    def admit(self, token: str, *scopes: str) -> Caller:
        return asyncio.run(self.come(token, *scopes))

    def refuse(self, token: str, *scopes: str) -> DeniedError:
        with pytest.raises(DeniedError) as refused:
            self.admit(token, *scopes)
        return refused.value

    def refuse_header(self, authorization: str | None) -> DeniedError:
        with pytest.raises(DeniedError) as refused:
            asyncio.run(self._bearer.admit(authorization))
        return refused.value


@pytest.fixture
def it() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def door(it: Issuer) -> Door:
    return Door(it)


def test_a_token_of_the_issuer_is_admitted_with_its_scopes(it: Issuer, door: Door) -> None:
    caller = door.admit(it.token("flights:read flights:write"), "flights:read")
    assert caller.scopes == {"flights:read", "flights:write"}
    assert time.time() + 500 < caller.expires <= time.time() + 600


def test_who_asked_is_kept_as_a_keyed_hash(it: Issuer, door: Door) -> None:
    expected = hmac.new(ACTOR_KEY.encode(), f"{it.url}\0board".encode(), hashlib.sha256).hexdigest()[:32]
    assert door.admit(it.token("flights:read", client="board")).actor == expected
    assert door.admit(it.token("flights:write", client="board")).actor == expected
    assert door.admit(it.token(client="another")).actor != expected
    assert (
        Door(it, EVENTFOLD_ACTOR_KEY="another secret of these tests, as long").admit(it.token(client="board")).actor != expected
    )


def test_every_forgery_is_refused_for_its_own_reason(it: Issuer, door: Door) -> None:
    door.admit(mint(it))
    wrong = {}
    for name, (token, why) in forgeries(it).items():
        refused = door.refuse(token, "flights:read")
        if (refused.status, refused.error) != (401, "invalid_token") or why not in refused.detail:
            wrong[name] = (refused.status, refused.detail)
        assert refused.challenge == (
            f'Bearer realm="eventfold", error="invalid_token", error_description="{refused.detail}", {METADATA}'
        )
        shown = f"{refused!r} {refused.headers} {refused.__cause__!r}"
        assert not any(part in shown for part in (*token.split("."), SUBJECT) if len(part) > 2), name
    assert not wrong


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer  ", "Basic YTpi", "token"])
def test_without_a_token_no_error_is_named(door: Door, authorization: str | None) -> None:
    refused = door.refuse_header(authorization)
    assert (refused.status, refused.error) == (401, "")
    assert refused.headers == {"www-authenticate": f'Bearer realm="eventfold", {METADATA}'}
    assert "Authorization: Bearer" in refused.detail


def test_a_token_without_the_scope_is_told_what_is_needed(it: Issuer, door: Door) -> None:
    token = it.token("flights:read accounts:write")
    door.admit(token, "flights:read")
    refused = door.refuse(token, "flights:read", "flights:write")
    assert (refused.status, refused.error) == (403, "insufficient_scope")
    assert refused.detail == "the token lacks the scope flights:write"
    assert 'error="insufficient_scope"' in refused.challenge
    assert f'scope="flights:read flights:write", {METADATA}' in refused.challenge
    assert door.refuse(it.token(), "flights:read").status == 403


def test_the_scheme_is_read_in_any_case(it: Issuer, door: Door) -> None:
    assert asyncio.run(door._bearer.admit(f"bEARER {it.token()}")).actor


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "Ed25519"])
def test_every_algorithm_of_the_list_is_taken(it: Issuer, door: Door, alg: str) -> None:
    it.rotate(alg)
    assert door.admit(mint(it)).scopes == {"flights:read"}


@pytest.mark.parametrize("jwk", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_ed25519_goes_by_two_names(it: Issuer, door: Door, jwk: str, alg: str) -> None:
    key = it.rotate("Ed25519")
    it.shown, it.keys = [{**key.as_dict(private=False), "alg": jwk}], [key]
    it.answers[JWKS] = (200, {"keys": it.shown}, [])
    assert door.admit(mint(it, signed_as=alg)).actor


def test_what_rfc_9068_leaves_open_is_taken(it: Issuer, door: Door) -> None:
    now = int(time.time())
    assert door.admit(mint(it, header={"typ": "application/AT+JWT", "x5c": ["x" * 2000], "of-its-own": 1})).actor
    assert door.admit(mint(it, {"aud": ["https://another.example", it.audience]})).actor
    assert door.admit(mint(it, {"scope": None})).scopes == frozenset()
    assert door.admit(mint(it, {"exp": now - 20})).actor
    assert door.admit(mint(it, {"iat": now + 20, "nbf": now + 20})).actor
    # Its only key needs no name.
    assert door.admit(mint(it, header={"kid": None})).actor


def test_a_good_token_is_not_verified_again_for_a_minute(it: Issuer, door: Door) -> None:
    token = it.token("flights:read")
    door.admit(token, "flights:read")
    door.later = 59
    assert door.refuse(token, "flights:write").status == 403
    assert door.looked_up == 1
    door.later = 61
    door.admit(token)
    assert door.looked_up == 2


def test_what_is_kept_does_not_outlive_the_token(it: Issuer, door: Door) -> None:
    token = mint(it, {"exp": int(time.time()) + 5})
    door.admit(token)
    door.later = 20
    door.admit(token)
    assert door.looked_up == 2, "past its end it was verified, and was within the leeway"
    door.later = 40
    assert door.refuse(token).detail == "the token has expired"


def test_of_many_tokens_the_last_ones_are_kept(it: Issuer, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventfold.web.oauth.bearer, "MOST_KEPT", 2)
    one, two, three = (mint(it) for _ in range(3))
    for token in (one, two, one, three):
        door.admit(token)
    assert door.looked_up == 3
    door.admit(one)
    assert door.looked_up == 3, "the one used last is kept"
    door.admit(two)
    assert door.looked_up == 4


def test_a_refused_token_is_not_kept(it: Issuer, door: Door) -> None:
    token = it.token()
    it.away = True
    refused = door.refuse(token)
    assert (refused.status, refused.error, refused.challenge) == (503, "", "")
    assert refused.headers == {"retry-after": "10"}
    it.away, door.later = False, 10
    door.admit(token)


def asks(it: Issuer) -> int:
    return it.asked[JWKS]


def test_many_requests_ask_the_issuer_once(it: Issuer, door: Door) -> None:
    tokens = [mint(it) for _ in range(50)]

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(door.come(token) for token in tokens))

    assert len(asyncio.run(all_at_once())) == 50
    assert (asks(it), it.asked[RFC8414]) == (1, 1)


def test_made_up_keys_do_not_make_it_ask_more_often(it: Issuer, door: Door) -> None:
    good = mint(it)
    door.admit(good)
    for seconds, times in ((0, 1), (9, 1), (10, 2), (19, 2), (20, 3)):
        door.later = seconds
        for number in range(20):
            refused = door.refuse(mint(it, header={"kid": f"made-up-{seconds}-{number}"}))
            assert (refused.status, refused.error) == (401, "invalid_token")
        assert asks(it) == times, f"after {seconds} s"
    door.admit(good)


def test_a_new_key_is_found_by_the_first_token_that_names_it(it: Issuer, door: Door) -> None:
    before = it.token()
    door.admit(before)
    it.rotate()
    door.later = 10
    door.admit(it.token())
    door.later = 80
    door.admit(before)
    assert asks(it) == 2


def test_a_key_that_is_withdrawn_counts_for_five_minutes_at_most(it: Issuer, door: Door) -> None:
    before = mint(it)
    door.admit(before)
    it.rotate(keep=False)
    door.later = 299
    door.admit(before)
    assert asks(it) == 1
    door.later = 360
    assert door.refuse(before).detail == "the token is not signed by a key of the issuer"
    assert asks(it) == 2


def test_while_the_issuer_is_away_its_keys_count_for_an_hour(it: Issuer, door: Door) -> None:
    lasting = {"exp": int(time.time()) + 9000}
    door.admit(mint(it, lasting))
    it.away = True

    async def come() -> None:
        for door.later, times in ((301, 2), (302, 2), (1800, 3), (3599, 4)):
            await door.come(mint(it, lasting))
            await until(lambda times=times: it.asked[RFC8414] == times)

    asyncio.run(come())
    assert door.refuse(mint(it, lasting, {"kid": "new"})).status == 503, "this may be a key that is new"
    door.later = 3601
    assert door.refuse(mint(it, lasting)).status == 503
    it.away, door.later = False, 3611
    door.admit(mint(it, lasting))
    assert door.refuse(mint(it, lasting, {"kid": "new"})).status == 401


def test_an_issuer_that_says_nothing_is_not_waited_for_long(it: Issuer, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventfold.web.oauth.keys.WITHIN_S", 0.2)
    token = mint(it)
    it.speaks.clear()
    started = time.monotonic()
    assert door.refuse(token).status == 503
    assert time.monotonic() - started < 3


def test_nobody_waits_for_an_issuer_that_did_not_answer(it: Issuer, door: Door) -> None:
    door.admit(mint(it))
    it.away, door.later = True, 301
    door.admit(mint(it))
    it.speaks.clear()

    async def come() -> None:
        asked = sum(it.asked.values())
        door.later = 320
        await asyncio.wait_for(door.come(mint(it)), 2)
        await until(lambda: sum(it.asked.values()) > asked)
        it.away = False
        it.speaks.set()

    asyncio.run(come())


def test_a_token_of_a_known_key_does_not_wait_for_that_of_an_unknown_one(it: Issuer, door: Door) -> None:
    door.admit(mint(it))
    it.rotate()
    it.speaks.clear()

    async def come() -> None:
        door.later = 10
        new = asyncio.create_task(door.come(mint(it)))
        await until(lambda: it.asked[RFC8414] == 2)
        await asyncio.wait_for(door.come(mint(it, key=it.keys[0])), 2)
        assert not new.done()
        it.speaks.set()
        await new

    asyncio.run(come())


def test_a_client_that_hangs_up_does_not_end_what_others_wait_for(it: Issuer, door: Door) -> None:
    it.speaks.clear()

    async def come() -> None:
        first = asyncio.create_task(door.come(mint(it)))
        await until(lambda: it.asked[RFC8414] == 1)
        second = asyncio.create_task(door.come(mint(it)))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        it.speaks.set()
        await asyncio.wait_for(second, 5)

    asyncio.run(come())
    assert asks(it) == 1


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def test_keys_that_are_for_something_else_are_passed_over(it: Issuer, door: Door) -> None:
    own = it.keys[0]
    secret = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0IHRoYXQgaXMgc2hvd24gdG8gZXZlcnlib2R5", "alg": "HS256"}
    encrypts = it.rotate("RS256", use="enc")
    it.keys = [own]
    it.shown = [secret, encrypts.as_dict(private=False), {"kty": "AKP", "kid": "later"}, {"kty": "RSA", "n": "?"}, {"kid": 1}]
    door.admit(mint(it))
    assert "not signed" in door.refuse(mint(it, key=encrypts)).detail
    assert "not signed" in door.refuse(mint(it, header={"kid": "secret"})).detail


def test_an_issuer_without_a_usable_key_is_unavailable(it: Issuer, door: Door) -> None:
    token = mint(it)
    it.keys = []
    assert door.refuse(token).status == 503


def test_metadata_is_found_where_the_issuers_path_puts_it() -> None:
    with issuer("/realms/one") as it:
        Door(it).admit(it.token())
        assert it.asked["/.well-known/oauth-authorization-server/realms/one"] == 1
        # Some servers answer with a page wherever they have nothing.
        it.answers = {path: (200, "<html>", []) for path in it.answers}
        it.answers["/realms/one/.well-known/openid-configuration"] = (200, it.metadata(), [])
        Door(it).admit(it.token())


def test_keys_may_be_named_by_the_settings(it: Issuer) -> None:
    it.answers.clear()
    Door(it, EVENTFOLD_OAUTH_JWKS_URL=f"{it.root}{JWKS}").admit(it.token())
    assert RFC8414 not in it.asked


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"issuer": "https://another.example"}, "no metadata of its own"),
        ({"jwks_uri": None}, "no metadata of its own"),
        ({"jwks_uri": "http://192.0.2.1/jwks"}, "not https"),
        ({"jwks_uri": "file:///etc/jwks"}, "not https"),
    ],
)
def test_metadata_that_names_another_or_is_not_safe_is_not_believed(
    it: Issuer, door: Door, changed: dict[str, Any], says: str
) -> None:
    it.answers[RFC8414] = (200, it.metadata(**changed), [])
    with capture_logs() as logged:
        assert door.refuse(it.token()).status == 503
    assert says in logged[0]["fault"]
    assert asks(it) == 0


@pytest.mark.parametrize(
    "answer",
    [(302, {}, [("Location", "/elsewhere")]), (200, {"keys": "x"}, []), (200, [], []), (200, {"more": "x" * 1_000_000}, [])],
)
def test_keys_that_are_elsewhere_or_too_many_are_none(it: Issuer, door: Door, answer: tuple[int, Any, Any]) -> None:
    good = it.answers.copy()
    keys = {"keys": [key.as_dict(private=False) for key in it.keys]}
    it.answers["/elsewhere"] = (200, keys, [])
    status, found, headers = answer
    it.answers[JWKS] = (status, {**keys, **found} if isinstance(found, dict) else found, headers)
    assert door.refuse(it.token()).status == 503
    it.answers, door.later = good, 10
    door.admit(it.token())
