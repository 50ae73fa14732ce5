"""Who may ask for what: tokens of a real issuer at the door of the real server; who asked is kept, but not by name."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from eventfold.web.oauth.tokens import LEEWAY_S
from tests.http.conftest import SCHEDULED, EventStream, Served, problem, serving
from tests.support import log
from tests.support.deadline import eventually
from tests.support.forged import SUBJECT, forgeries, mint
from tests.support.issuer import Issuer, issuer
from tests.support.sandbox import Sandbox

BASE = "https://eventfold.example"
OPEN = ("/", "/assets/shell.css", "/pages", "/pages/flights/page.js", "/openapi.json", "/.well-known/oauth-protected-resource")
CLOSED = {
    "/queries/punctuality?by=carrier": "flights:read",
    "/changes/board/JFK?date=2014-03-01": "flights:read",
    "/history/flights/x": "flights:read",
    "/queries/totals": "accounts:read",
    "/operations": "operations:read",
}


@pytest.fixture(scope="module")
def it() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(folded: Sandbox, it: Issuer) -> Iterator[Served]:
    """A server that takes this issuer's tokens."""
    with serving(folded, **it.environ(EVENTFOLD_OAUTH="", EVENTFOLD_BASE_URL=BASE)) as found:
        yield found


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def ending(it: Issuer, scope: str = "flights:read", in_s: int = 4) -> tuple[str, float]:
    """A token that is taken for so many seconds more, or up to one less, and until when."""
    expires = int(time.time()) - LEEWAY_S + in_s
    return mint(it, {"exp": expires, "scope": scope}), expires + LEEWAY_S


def flight(number: int) -> dict[str, object]:
    return {**SCHEDULED, "flight_number": number}


def test_the_page_and_the_descriptions_are_open(guarded: Served) -> None:
    for path in OPEN:
        assert guarded.get(path).status_code == 200, path
    described = guarded.get("/.well-known/oauth-protected-resource").json()
    assert described["resource"] == BASE
    assert set(described["scopes_supported"]) >= {"flights:read", "accounts:write", "operations:read"}


@pytest.mark.parametrize("path", CLOSED)
def test_without_a_token_there_is_nothing(guarded: Served, path: str) -> None:
    answer = guarded.get(path)
    problem(answer, 401, "no-token")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert f'resource_metadata="{BASE}/.well-known/oauth-protected-resource"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("path", "scope"), CLOSED.items())
def test_each_resource_needs_its_scope_and_no_other(guarded: Served, it: Issuer, path: str, scope: str) -> None:
    every = {*CLOSED.values(), "accounts:write"}
    lacking = it.token(scope=" ".join(every - {scope}))
    answer = guarded.get(path, **bearing(lacking))
    problem(answer, 403, "insufficient-scope")
    assert f'scope="{scope}"' in answer.headers["www-authenticate"]
    with guarded.client.stream("GET", path, headers=bearing(it.token(scope=scope))) as allowed:
        assert allowed.status_code in (200, 404)


def test_no_forged_token_opens_the_door(guarded: Served, it: Issuer) -> None:
    for name, token in forgeries(it).items():
        header = {"authorization": f"Bearer {token}".encode("utf-8", "surrogateescape")}
        answer = guarded.client.get("/queries/punctuality?by=carrier", headers=header)
        assert answer.status_code == 401, name
        assert 'error="invalid_token"' in answer.headers["www-authenticate"], name
    assert guarded.get("/queries/punctuality?by=carrier", **bearing(it.token(scope="flights:read"))).status_code == 200


def test_who_may_read_may_not_write(guarded: Served, it: Issuer) -> None:
    path, data = "/commands/flights/ScheduleFlight/UA600:2014-03-01:EWR", {**SCHEDULED, "flight_number": 600}
    problem(guarded.post(path, data, **bearing(it.token(scope="flights:read accounts:write"))), 403, "insufficient-scope")
    done = guarded.post(path, data, prefer="wait=20", **bearing(it.token(scope="flights:write")))
    assert done.status_code == 200, done.text


def test_who_asked_is_kept_and_not_by_name(guarded: Served, it: Issuer) -> None:
    ids = {}
    for number, subject in ((601, SUBJECT), (602, SUBJECT), (603, "charles.babbage")):
        token = mint(it, {"sub": subject, "scope": "flights:write"})
        key = f"UA{number}:2014-03-01:EWR"
        done = guarded.command("flights.ScheduleFlight", key, {**SCHEDULED, "flight_number": number}, **bearing(token))
        assert done.status_code == 200, done.text
        ids[key] = done.json()["command_id"]
    by_id = {record.header("ce_id"): record for record in log.read(guarded.sandbox, "flights.commands")}
    actors = [by_id[id_].header("ce_actor") for id_ in ids.values()]
    assert actors[0] == actors[1] != actors[2]
    everything = repr([(record.headers, record.value) for record in by_id.values()])
    assert SUBJECT not in everything and "babbage" not in everything
    assert SUBJECT not in guarded.server.log


def test_one_key_of_two_people_are_two_commands(guarded: Served, it: Issuer) -> None:
    found = set()
    for subject in (SUBJECT, "charles.babbage"):
        token = mint(it, {"sub": subject, "scope": "flights:write"})
        data = {**SCHEDULED, "flight_number": 604}
        done = guarded.command("flights.ScheduleFlight", "UA604:2014-03-01:EWR", data, idempotency_key="1", **bearing(token))
        found.add(done.json()["command_id"])
    assert len(found) == 2


def test_a_stream_ends_with_its_token_and_goes_on_with_another(guarded: Served, it: Issuer) -> None:
    path, writer = "/changes/board/EWR?date=2014-03-01", bearing(it.token(scope="flights:write"))
    token, ends = ending(it)
    with EventStream(guarded.client, path, bearing(token)) as events:
        assert events.next()[0] == "open"
        assert guarded.command("flights.ScheduleFlight", "UA610:2014-03-01:EWR", flight(610), **writer).status_code == 200
        kind, _, last = events.next()
        assert kind == "changed"
        assert events.next() == ("reset", {"reason": "token-expired"}, "")
        assert ends <= time.time() < ends + 1
        with pytest.raises(EOFError):
            events.next()
    problem(guarded.get(path, **bearing(token)), 401, "invalid-token")
    assert guarded.command("flights.ScheduleFlight", "UA611:2014-03-01:EWR", flight(611), **writer).status_code == 200
    again = {**bearing(it.token(scope="flights:read")), "last-event-id": last}
    with EventStream(guarded.client, path, again) as events:
        assert events.next()[0] == "open"
        assert events.next()[1]["key"] == "UA611:2014-03-01:EWR"


def test_no_wait_outlives_its_token(guarded: Served, it: Issuer) -> None:
    never = "00000000-0000-4000-8000-000000000000"
    far = f"{guarded.sandbox.prefix}flights.events/0@999999999"
    for path, status, kind in (
        (f"/outcomes/flights/{never}?key=x", 404, "outcome-unknown"),
        (f"/queries/punctuality?by=carrier&after={far}&timeout=30", 503, "not-reached"),
    ):
        token, ends = ending(it, "flights:read flights:write", in_s=2)
        problem(guarded.get(path, prefer="wait=30", **bearing(token)), status, kind)
        assert time.time() < ends + 1


def test_keys_that_are_rotated(guarded: Served, it: Issuer) -> None:
    """The issuer's keys are looked up once in a while at most, so that tokens of nobody's key do not make us ask and ask."""
    it.rotate()
    token = it.token(scope="flights:read")
    eventually(lambda: guarded.get("/queries/punctuality?by=carrier", **bearing(token)).status_code == 200, "it is let in")


def test_off_serves_this_machine_alone(folded: Sandbox) -> None:
    open_to_all = {"EVENTFOLD_OAUTH": "off"}
    assert "loopback" in folded.fails(2, "serve", "--host", "0.0.0.0", "--port", "0", environ=open_to_all)
    assert "EVENTFOLD_OAUTH_ISSUER" in folded.fails(2, "serve", "--port", "0")
    assert "32 characters" in folded.fails(
        2,
        *("serve", "--port", "0"),
        environ={
            "EVENTFOLD_OAUTH_ISSUER": "https://issuer.example",
            "EVENTFOLD_OAUTH_AUDIENCE": "eventfold",
            "EVENTFOLD_ACTOR_KEY": "short",
        },
    )


def test_an_address_that_is_taken(folded: Sandbox, guarded: Served) -> None:
    port = guarded.url.rpartition(":")[2]
    told = folded.fails(1, "serve", "--port", port, environ={"EVENTFOLD_OAUTH": "off"})
    assert f"127.0.0.1:{port} cannot be listened at" in told
