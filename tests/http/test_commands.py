"""Commands over HTTP: every wrong field is named, a key makes them act once, versions are checked, outcomes are told."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.http.conftest import JSON, SCHEDULED, Served, problem, serving
from tests.support import log
from tests.support.sandbox import Sandbox

DEPARTED = {"departed_at": "2014-03-01T15:12:00Z"}
TEN = {"amount": "10.00", "currency": "EUR"}


def test_an_outcome_that_is_waited_for(served: Served) -> None:
    done = served.command("flights.ScheduleFlight", "UA200:2014-03-01:EWR", {**SCHEDULED, "flight_number": 200})
    assert done.status_code == 200
    found = done.json()
    assert (found["outcome"], found["version"], len(found["positions"])) == ("accepted", 1, 1)
    where = f"/outcomes/flights/{found['command_id']}?key=UA200%3A2014-03-01%3AEWR"
    assert done.headers["location"].startswith(f"{where}&of=")
    assert served.get(where).json() == found
    assert done.headers["preference-applied"] == "wait=20"
    assert served.get(done.headers["location"]).json() == found


def test_a_command_that_is_sent_tells_where_its_outcome_will_be(served: Served) -> None:
    done = served.command("flights.ScheduleFlight", "UA201:2014-03-01:EWR", {**SCHEDULED, "flight_number": 201}, prefer="")
    assert done.status_code == 202
    found = done.json()
    assert found["outcome"] == "sent"
    assert done.headers["location"] == found["outcome_at"]
    outcome = served.get(found["outcome_at"], prefer="wait=20")
    assert (outcome.status_code, outcome.json()["outcome"]) == (200, "accepted")


def test_a_refusal_has_the_domains_code(served: Served) -> None:
    key = served.schedule(202)
    assert served.command("flights.DepartFlight", key, DEPARTED).status_code == 200
    refused = served.command("flights.DepartFlight", key, DEPARTED)
    found = problem(refused, 422, "refused")
    assert (found["code"], found["outcome"]) == ("already-departed", "refused")
    assert problem(served.get(f"/outcomes/flights/{found['command_id']}?key={key}"), 422, "refused") == found


def test_a_version_that_is_expected(served: Served) -> None:
    key = served.schedule(203)
    tag = served.get(f"/queries/flights/{key}").headers["etag"]
    exists = problem(
        served.command("flights.ScheduleFlight", key, {**SCHEDULED, "flight_number": 203}, if_none_match="*"), 409, "conflict"
    )
    assert exists["version"] == 1
    assert served.command("flights.DepartFlight", key, DEPARTED, if_match=tag).status_code == 200
    stale = served.command("flights.CancelFlight", key, {"cancelled_at": "2014-03-01T16:00:00Z"}, if_match=tag)
    assert problem(stale, 409, "conflict")["version"] == 2
    for wrong in ("*", '"x"', '"1", "2"', '"1'):
        assert problem(served.command("flights.DepartFlight", key, DEPARTED, if_match=wrong), 400, "wrong-header")
    problem(served.command("flights.DepartFlight", key, DEPARTED, if_match="2", if_none_match="*"), 412, "wrong-header")
    problem(served.command("flights.DepartFlight", key, DEPARTED, if_match="7"), 409, "conflict")


def test_a_key_acts_once_from_many_at_once(served: Served) -> None:
    opened = served.command("accounts.OpenAccount", "once", {"owner": "Ada", "currency": "EUR"})
    assert opened.status_code == 200, opened.text

    def deposit(_: int) -> httpx2.Response:
        return served.command("accounts.Deposit", "once", TEN, idempotency_key='"rent of May"')

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(deposit, range(16)))
    assert {answer.status_code for answer in done} == {200}, [answer.text for answer in done]
    assert len({answer.text for answer in done}) == 1
    served.sandbox.caught_up("accounts")
    assert served.get("/queries/accounts/once").json()["balance"] == "10.00"
    again = served.command("accounts.Deposit", "once", TEN, idempotency_key=str(uuid.uuid4()))
    assert again.json()["command_id"] != done[0].json()["command_id"]


def test_a_uuid_as_the_key_is_the_commands_id(served: Served) -> None:
    id_ = str(uuid.uuid4())
    key = served.schedule(204)
    done = served.command("flights.DepartFlight", key, DEPARTED, idempotency_key=id_)
    assert done.json()["command_id"] == id_
    outcome = served.sandbox.json("outcome", id_, "--key", key, "--domain", "flights")
    assert outcome["positions"] == done.json()["positions"]
    problem(served.command("flights.DepartFlight", key, DEPARTED, idempotency_key="x" * 256), 400, "wrong-header")


def test_every_wrong_field_is_named(served: Served) -> None:
    data = {"departed_at": "soon", "departure_delay_min": 1.5, "tail_number": 7, "colour": "red"}
    found = problem(served.command("flights.DepartFlight", "UA1:2014-03-01:EWR", data), 400, "wrong-data")
    assert [error["field"] for error in found["errors"]] == ["/departed_at", "/departure_delay_min", "/tail_number", "/colour"]
    missing = problem(served.command("flights.ScheduleFlight", "UA1:2014-03-01:EWR", {}), 400, "wrong-data")
    assert {error["field"] for error in missing["errors"]} >= {"/carrier", "/origin"}


def test_when_it_happened_and_until_when_it_counts(served: Served) -> None:
    key = served.schedule(205)
    at = served.command("flights.DepartFlight", f"{key}?time=2014-03-01T15:13:00Z", DEPARTED)
    assert at.status_code == 200, at.text
    assert served.get(f"/history/flights/{key}").json()[1]["happened"] == "2014-03-01T15:13:00Z"
    cancelled = {"cancelled_at": "2014-03-01T15:14:00Z"}
    late = served.command("flights.CancelFlight", f"{key}?expires=2014-03-01T15:13:00Z", cancelled)
    assert problem(late, 422, "refused")["code"] == "expired"
    problem(served.command("flights.DepartFlight", f"{key}?time=noon", DEPARTED), 400, "wrong-parameter")
    problem(served.command("flights.DepartFlight", f"{key}?sooner=1", DEPARTED), 400, "wrong-parameter")


def test_the_outcome_of_an_unknown_command(served: Served) -> None:
    id_ = uuid.uuid4()
    assert problem(served.get(f"/outcomes/flights/{id_}?key=x"), 404, "outcome-unknown")["command_id"] == str(id_)
    problem(served.get("/outcomes/flights/7?key=x"), 400, "wrong-id")
    for wrong in ("", "?key=", "?key=x&key=y", "?key=%00", "?key=x&of=7", "?key=x&of=00&of=00", "?key=x&more=1"):
        problem(served.get(f"/outcomes/flights/{id_}{wrong}"), 400, "wrong-parameter")


def test_a_key_that_was_used_for_something_else(served: Served) -> None:
    """As the IETF's draft on Idempotency-Key has it; and nobody is told the other one's outcome."""
    id_, key = str(uuid.uuid4()), served.schedule(206)
    first = served.command("flights.DepartFlight", key, DEPARTED, idempotency_key=id_)
    assert first.status_code == 200
    other = {"departed_at": "2014-03-01T15:13:00Z"}
    reused = served.command("flights.DepartFlight", key, other, idempotency_key=id_)
    found = problem(reused, 422, "id-reused")
    assert found["code"] == "id-reused" and "positions" not in found
    assert problem(served.get(reused.headers.get("location") or _where(served, key, other, id_)), 422, "id-reused")
    assert served.command("flights.DepartFlight", key, DEPARTED, idempotency_key=id_).json() == first.json()
    assert served.get(first.headers["location"]).json() == first.json()


def _where(served: Served, key: str, data: dict[str, str], id_: str) -> str:
    """Where the outcome is, of a command that nobody waits for."""
    sent = served.command("flights.DepartFlight", key, data, idempotency_key=id_, prefer="")
    assert sent.status_code == 202
    return str(sent.headers["location"])


def test_what_a_domain_s_own_processes_send_is_not_offered(served: Served) -> None:
    paths = served.get("/openapi.json").json()["paths"]
    assert "/commands/accounts/Deposit/{id}" in paths and "/commands/accounts/CreditAccount/{id}" not in paths
    credit = {"transfer_id": "t", "from_account": "a", "amount": "1000000.00", "currency": "EUR"}
    problem(served.command("accounts.CreditAccount", "rich", credit), 404, "not-found")


def test_nobody_has_such_a_command(served: Served) -> None:
    problem(served.post("/commands/flights/LandFlight/x", {}), 404, "not-found")
    problem(served.get("/commands/flights/DepartFlight/x"), 405, "method-not-allowed")
    problem(served.post("/commands/flights/DepartFlight/a/b", DEPARTED), 400, "wrong-id")
    problem(served.post("/commands/flights/DepartFlight/", DEPARTED), 400, "wrong-id")


def test_a_trace_goes_with_the_command(served: Served) -> None:
    key = served.schedule(207)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    served.command("flights.DepartFlight", key, DEPARTED, traceparent=trace)
    (event,) = [e for e in log.read(served.sandbox, "flights.events") if e.key == key and "Departed" in e.header("ce_type")]
    assert event.headers.get("traceparent") == trace
    (command,) = [
        c for c in log.read(served.sandbox, "flights.commands") if c.header("ce_id") == event.header("ce_causationid")
    ]
    assert "ce_actor" not in command.headers


@pytest.mark.parametrize("side", ["queries", "commands", ""])
def test_each_side_runs_apart_and_describes_itself(folded: Sandbox, side: str) -> None:
    with serving(folded, *([side] if side else [])) as apart:
        described = apart.get("/openapi.json").json()
        kinds = {path.split("/")[1] for path in described["paths"]}
        read, write = {"queries", "changes", "history", "operations"}, {"commands", "outcomes"}
        assert kinds == {"queries": read, "commands": write, "": read | write}[side]
        asked = apart.get("/queries/punctuality?by=carrier").status_code
        sent = apart.client.post("/commands/flights/DepartFlight/x", content=json.dumps({}), headers={"content-type": JSON})
        assert asked == (404 if side == "commands" else 200)
        assert sent.status_code == (404 if side == "queries" else 400)
        assert apart.server.stop() == 0
