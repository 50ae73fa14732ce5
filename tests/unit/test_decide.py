"""From command records to events and refusals, with a ledger in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message as Record

from eventfold.processors.handler.asked import CommandReader
from eventfold.processors.handler.decide import LARGEST_STATE, UNDECODABLE, Decided, Rules, decide
from eventfold.processors.handler.ledger import Proved
from eventfold.processors.handler.records import Records
from eventfold.producers.commands import NO_REPLY
from eventfold.producers.decider import Decider, Refusal, State, evolved
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Envelope
from eventfold.schemas.ids import KEY_LIMIT, derived_from, scoped_id
from eventfold.schemas.message import Actor, Message
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.store.decided_ids import Asking
from eventfold.store.ledgers import version_and_state, written
from eventfold.store.outcomes import Outcome
from flights.decider import decider
from tests.support.avro import catalog_of
from tests.support.flights import arriving, departed, departing, flight_id, scheduled

PARTITIONS = 6
NOW = 1_700_000_000_000
ID = flight_id(1)


class Memory:
    """A ledger whose aggregates and decided ids are dicts."""

    def __init__(self, decider: Decider, known: Mapping[bytes, Proved] = {}) -> None:
        self._decider = decider
        self.known = known
        self.held: dict[str, tuple[int, State]] = {}

    def load(self, keys: Iterable[str], ids: Mapping[bytes, str]) -> dict[bytes, Proved]:
        return {scoped: self.known[scoped] for scoped in ids if scoped in self.known}

    def aggregate(self, key: str) -> tuple[int, State]:
        # As from a snapshot, each time.
        return deepcopy(self.held.get(key, (0, self._decider.initial())))

    def knows(self, key: str) -> bool:
        return key in self.held

    def size(self, key: str) -> int:
        return len(written(*self.held[key])) if key in self.held else 0

    def hold(self, key: str, snapshot: bytes) -> None:
        self.held[key] = version_and_state(snapshot)


def record(
    codec: Codec,
    verb: str,
    data: dict[str, Any],
    *,
    key: str = ID,
    partition: int | None = None,
    without: str = "",
    value: bytes | None = None,
    topic: str = "flights.commands",
    raw_key: bytes | None = None,
    extra: list[tuple[str, bytes]] | None = None,
    **envelope: Any,
) -> Record:
    sent = Envelope(
        **{"id": str(uuid.uuid4()), "type": f"flights.{verb}Flight", "source": "/t", "time": NOW, "subject": key, **envelope}
    )
    return Record(
        topic=topic,
        partition=partition_of(key, PARTITIONS) if partition is None else partition,
        offset=7,
        key=key.encode() if raw_key is None else raw_key,
        value=codec.encode(sent.type, data) if value is None else value,
        headers=[(name, value) for name, value in sent.to_headers() if name != without] + (extra or []),
    )


def reader(codec: Codec) -> CommandReader:
    return CommandReader(codec, "flights", "flights.internal")


def run(codec: Codec, *records: Record, ledger: Memory | None = None, by: Decider = decider, **rules: Any) -> list[Decided]:
    asked = [*map(reader(codec).read, records)]
    of = Rules(decider=by, codec=codec, partitions=PARTITIONS, **rules)
    return decide(of, ledger or Memory(by), asked, NOW)  # type: ignore[arg-type]


def refusals(decided: list[Decided]) -> list[str | None]:
    return [d.refusal.code if d.refusal else None for d in decided]


def test_commands_of_a_batch_build_on_each_other(codec: Codec) -> None:
    ledger = Memory(decider)
    records = [
        record(codec, "Schedule", scheduled(1)),
        record(codec, "Depart", departing()),
        record(codec, "Depart", departing()),
        record(codec, "Arrive", arriving()),
    ]
    decided = run(codec, *records, ledger=ledger)
    assert refusals(decided) == [None, None, "already-departed", None]
    assert [d.version for d in decided] == [1, 2, 2, 3]
    assert [event.type for d in decided for event in d.events] == [
        "flights.FlightScheduled",
        "flights.FlightDeparted",
        "flights.FlightArrived",
    ]
    assert ledger.held == {ID: (3, {"status": "arrived"})}


def test_an_id_that_was_decided_before_has_its_first_outcome(codec: Codec) -> None:
    once = str(uuid.uuid4())
    outcome = Outcome(command_id=once, accepted=True, version=1)
    for asking in (Asking(), Asking(reader(codec).read(record(codec, "Schedule", scheduled(1), id=once)).fingerprint)):
        known = {scoped_id(once, ID): Proved(outcome, asking)}
        (decided,) = run(codec, record(codec, "Schedule", scheduled(1), id=once), ledger=Memory(decider, known))
        assert (decided.earlier, decided.events, decided.refusal) == (outcome, (), None)


def test_an_id_twice_in_a_batch_is_decided_once(codec: Codec) -> None:
    once = str(uuid.uuid4())
    twice = [record(codec, "Schedule", scheduled(1), id=id_) for id_ in (once, once.upper())]
    decided = run(codec, *twice)
    assert len(decided) == 1
    assert refusals(decided) == [None]


def test_an_expected_version_must_be_the_one_there_is(codec: Codec) -> None:
    records = [
        record(codec, "Schedule", scheduled(1), expected_version=0),
        record(codec, "Depart", departing(), expected_version=0),
        record(codec, "Depart", departing(), expected_version=1),
    ]
    decided = run(codec, *records)
    assert refusals(decided) == [None, "conflict", None]
    assert "expected version 0, but UA1:2013-02-08:JFK is at version 1" in decided[1].refusal.message  # type: ignore[union-attr]


def test_a_command_that_has_expired_is_refused_undecided(codec: Codec) -> None:
    assert refusals(run(codec, record(codec, "Schedule", scheduled(1), expires=NOW - 1))) == ["expired"]
    assert refusals(run(codec, record(codec, "Schedule", scheduled(1), expires=NOW))) == [None]


def test_a_key_on_another_partition_than_its_own_is_refused(codec: Codec) -> None:
    wrong = (partition_of(ID, PARTITIONS) + 1) % PARTITIONS
    (decided,) = run(codec, record(codec, "Schedule", scheduled(1), partition=wrong))
    assert decided.refusal is not None
    assert decided.refusal.code == "wrong-partition"
    assert f"belongs to partition {partition_of(ID, PARTITIONS)}, but came on {wrong}" in decided.refusal.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"without": "ce_id"}, "no ce_id header"),
        ({"without": "ce_time"}, "no ce_time header"),
        ({"without": "ce_subject"}, "no ce_subject header"),
        ({"id": "42"}, "'42' is not a command id"),
        ({"subject": "UA2:2013-02-08:JFK"}, "key and ce_subject must be the same"),
        ({"extra": [("ce_time", b"soon")]}, "'soon' is not a time"),
        ({"extra": [("ce_expectedversion", b"one")]}, "no version"),
        ({"extra": [("ce_expectedversion", b"1" * 5_000)]}, "no version"),
        ({"extra": [("ce_correlationid", b"\xff")]}, "ce_correlationid is not UTF-8"),
        ({"extra": [("ce_correlationid", b"c" * 5_000_000)]}, "(5,000,000 characters) is not a ce_correlationid"),
        ({"extra": [("ce_correlationid", b"")]}, "'' is not a ce_correlationid"),
        ({"extra": [("ce_actor", b"a\nb")]}, "is not a ce_actor"),
        ({"extra": [("ce_actor", b"a"), ("ce_actorkind", b"k" * 300)]}, "is not a ce_actorkind"),
        ({"extra": [("ce_time", b"2026-01-01T00:00:00." + b"0" * 5_000 + b"Z")]}, "ce_time has"),
        ({"raw_key": b"\xff"}, "the key is not UTF-8"),
        ({"raw_key": b"a\tb"}, "is not an aggregate's id"),
        ({"raw_key": b"a\0b"}, "is not an aggregate's id"),
        ({"raw_key": b"k" * 900_000}, "(900,000 characters) is not an aggregate's id"),
        ({"value": b"\xc3\x01" + bytes(2_000_000)}, "2,000,002 bytes"),
        ({"extra": [("ce_expirytime", b"later")]}, "'later' is not a time"),
        ({"extra": [("ce_subject", b"\xff")]}, "not UTF-8"),
        ({"value": b"\xc3\x01"}, "too few"),
        ({"value": b"{}{}{}{}{}{}"}, "not c3 01"),
    ],
)
def test_a_command_that_cannot_be_read_is_refused_and_the_next_is_decided(codec: Codec, change: Any, says: str) -> None:
    bad = record(codec, "Schedule", scheduled(1), **change)
    decided = run(codec, bad, record(codec, "Schedule", scheduled(1)))
    assert refusals(decided) == [UNDECODABLE, None]
    assert says in decided[0].asked.wrong
    assert decided[0].version is None


def test_a_record_without_key_or_headers_is_refused(codec: Codec) -> None:
    bare = Record(topic="flights.commands", partition=0, offset=1, value=b"x")
    assert refusals(run(codec, bare)) == [UNDECODABLE]


def test_a_decider_that_fails_refuses_the_command(codec: Codec) -> None:
    broken = Decider(version=1, initial=dict, decide=lambda state, command: state["nothing"], evolve=lambda state, event: state)
    (decided,) = run(codec, record(codec, "Schedule", scheduled(1)), by=broken)
    assert decided.refusal is not None
    assert (decided.refusal.code, decided.refusal.message) == ("decider-failed", "KeyError: 'nothing'")


@pytest.mark.parametrize(
    ("event", "evolve", "says"),
    [
        (Message("flights.FlightCancelled", {"cancelled_at": 1}), lambda state, event: state, "'carrier' is missing"),
        (Message("flights.Nothing", {}), lambda state, event: state, "no schema is called 'flights.Nothing'"),
        (Message("flights.CancelFlight", {"cancelled_at": 1}), lambda state, event: state["nothing"], "KeyError: 'nothing'"),
    ],
    ids=["a field is missing", "no such event", "evolve fails"],
)
def test_events_that_cannot_be_written_refuse_the_command_and_no_other(
    codec: Codec, event: Message, evolve: Any, says: str
) -> None:
    def half_broken(state: State, command: Message) -> list[Message]:
        return [event] if command.type == "flights.DepartFlight" else [Message("flights.FlightScheduled", command.data)]

    def guarded(state: State, happened: Message) -> State:
        return evolve(state, happened) if happened == event else {"at": 1}

    broken = Decider(version=1, initial=dict, decide=half_broken, evolve=guarded)
    ledger = Memory(broken)
    records = [record(codec, "Schedule", scheduled(1)), record(codec, "Depart", departing())]
    decided = run(codec, *records, record(codec, "Schedule", scheduled(1)), by=broken, ledger=ledger)
    assert refusals(decided) == [None, "decider-failed", None]
    assert says in decided[1].refusal.message  # type: ignore[union-attr]
    assert ledger.held == {ID: (2, {"at": 1})}


def test_a_state_may_not_outgrow_its_size_and_may_shrink_again(codec: Codec) -> None:
    """One that is larger, as of an old log, takes what makes it smaller; the other aggregates of the batch take everything."""
    full, large = "x" * (LARGEST_STATE - 40), "x" * (LARGEST_STATE + 500)

    def evolve(state: State, event: Message) -> State:
        return {"kept": state["kept"] + "y" * 30 if event.type.endswith("Scheduled") else state["kept"][:-100]}

    keeps = replace(decider, decide=lambda state, command: [decide_as(command)], evolve=evolve)
    ledger, other = Memory(keeps), flight_id(2)
    ledger.held = {ID: (4, {"kept": large}), other: (1, {"kept": full})}
    records = [
        record(codec, "Schedule", scheduled(1)),
        record(codec, "Depart", departing()),
        record(codec, "Schedule", scheduled(2), key=other),
        record(codec, "Depart", departing(), key=other),
        record(codec, "Schedule", scheduled(2), key=other),
    ]
    decided = run(codec, *records, by=keeps, ledger=ledger)
    assert refusals(decided) == ["state-too-large", None, "state-too-large", None, None]
    assert f"the state of {ID} would take 262,7" in decided[0].refusal.message  # type: ignore[union-attr]
    assert ledger.held == {ID: (5, {"kept": large[:-100]}), other: (3, {"kept": full[:-100] + "y" * 30})}


def decide_as(command: Message) -> Message:
    """The event that a command asks for, whatever came before."""
    if command.type == "flights.ScheduleFlight":
        return Message("flights.FlightScheduled", command.data)
    return Message("flights.FlightDeparted", departed(1))


def test_a_decision_for_nothing_is_a_refusal(codec: Codec) -> None:
    idle = Decider(version=1, initial=dict, decide=lambda state, command: [], evolve=lambda state, event: state)
    assert refusals(run(codec, record(codec, "Schedule", scheduled(1)), by=idle)) == ["no-event"]


def test_whether_someone_waits_stands_in_a_header(codec: Codec) -> None:
    silent, waited = run(
        codec,
        record(codec, "Schedule", scheduled(1), extra=[NO_REPLY]),
        record(codec, "Depart", departing()),
    )
    assert (silent.asked.noreply, waited.asked.noreply) == (True, False)


def test_events_and_refusals_that_fit_no_record_are_cut_or_refused(codec: Codec, tmp_path: Path) -> None:
    texts = {"type": "array", "items": "string"}
    shop = Codec(catalog_of(tmp_path, {"Sold.v1": [{"name": "texts", "type": texts}]}))

    def large(state: State, command: Message) -> list[Message]:
        return [Message("shop.Sold", {"texts": ["N" * 60_000] * 17})]

    def talkative(state: State, command: Message) -> Refusal:
        return Refusal(code="no", message="x" * 2_000_000)

    asked = reader(codec).read(record(codec, "Schedule", scheduled(1)))
    selling = replace(decider, decide=large)
    rules = Rules(decider=selling, codec=shop, partitions=PARTITIONS)
    too_large = decide(rules, Memory(selling), [asked], NOW)[0].refusal  # type: ignore[arg-type]
    assert too_large is not None and too_large.code == "too-large"
    long = run(codec, record(codec, "Schedule", scheduled(1)), by=replace(decider, decide=talkative))[0].refusal
    assert long is not None and (long.code, len(long.message)) == ("no", 4_003)


def test_what_only_python_takes_for_a_number_is_no_expected_version(codec: Codec) -> None:
    """And it must not stop the handler, which would read it again and again."""
    arabic = [("ce_expectedversion", "\u0661".encode())]
    decided = run(codec, record(codec, "Schedule", scheduled(1), extra=arabic))  # type: ignore[arg-type]
    assert refusals(decided) == [UNDECODABLE]


@pytest.mark.parametrize("code", ["no", 404])
def test_a_refusal_that_no_record_can_hold_is_made_to_fit(codec: Codec, code: Any) -> None:
    def broken(state: State, command: Message) -> Refusal:
        return Refusal(code=code, message="half a pair: \ud800")

    refusal = run(codec, record(codec, "Schedule", scheduled(1)), by=replace(decider, decide=broken))[0].refusal
    assert refusal == Refusal(code=str(code), message="half a pair: ?")


def test_evolve_meets_an_event_as_the_log_gives_it_back(codec: Codec, tmp_path: Path) -> None:
    """Also when it was decided just now, and by the next event of the same command: a state is that of a fold of the log."""
    kinds = {
        "by": {"type": "string", "logicalType": "uuid"},
        "at": {"type": "long", "logicalType": "timestamp-millis"},
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
        "ratio": "float",
    }
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    shop = Codec(catalog_of(tmp_path, {"Sold.v1": [*fields, {"name": "lots", "type": "int", "default": 1}]}))
    sold = {"by": uuid.UUID(int=7), "at": datetime(2026, 1, 2, tzinfo=UTC), "price": Decimal("1.5"), "ratio": 0.1}

    def evolve(state: State, event: Message) -> State:
        return {"met": [*state.get("met", []), {name: str(of) for name, of in event.data.items()}]}

    selling = Decider(version=1, initial=dict, decide=lambda *_: [Message("shop.Sold", sold)] * 2, evolve=evolve)
    asked = reader(codec).read(record(codec, "Depart", departing()))
    ledger = Memory(selling)
    (decided,) = decide(Rules(decider=selling, codec=shop, partitions=PARTITIONS), ledger, [asked], NOW)  # type: ignore[arg-type]
    again: State = {}
    for event in decided.events:
        again = evolved(selling, again, shop.decode(event.value))
    assert ledger.aggregate(ID) == (2, again)


# -- whose a command's id is ---------------------------------------------------------------------------------------------

MINE, THEIRS = Actor("mine", "person"), Actor("theirs", "person")


def test_an_id_belongs_to_who_used_it_first_for_what(codec: Codec) -> None:
    once = str(uuid.uuid4())
    first = record(codec, "Schedule", scheduled(1), id=once, actor=MINE)
    others = [
        record(codec, "Depart", departing(), id=once, actor=MINE),
        record(codec, "Schedule", scheduled(1) | {"tail_number": "N1"}, id=once, actor=MINE),
        record(codec, "Schedule", scheduled(1), id=once, actor=MINE, expected_version=0),
        record(codec, "Schedule", scheduled(1), id=once, actor=THEIRS),
        record(codec, "Schedule", scheduled(1), id=once),
    ]
    decided = run(codec, first, *others, first)
    assert refusals(decided) == [None, *["id-reused"] * len(others)]
    assert [d.reused for d in decided] == [False, *[True] * len(others)]
    # Not only within one batch.
    asking = Asking(decided[0].asked.fingerprint)
    known = {scoped_id(once, ID): Proved(Outcome(command_id=once, accepted=True, version=1), asking)}
    later = run(codec, *others, first, ledger=Memory(decider, known))
    assert refusals(later) == [*["id-reused"] * len(others), None]
    assert later[-1].earlier is not None and later[-1].earlier.accepted


def test_an_id_is_one_s_own_for_each_aggregate_and_for_the_domain_s_own_processes(codec: Codec) -> None:
    once, other = str(uuid.uuid4()), flight_id(2)
    process = [("ce_processid", b"p/1")]
    decided = run(
        codec,
        record(codec, "Schedule", scheduled(1), id=once),
        record(codec, "Schedule", scheduled(2), id=once, key=other),
        record(codec, "Depart", departing(), id=once, topic="flights.internal", extra=process),
    )
    assert refusals(decided) == [None, None, None]
    made = [event for of in decided for event in Records("flights", Names(), codec).events(of)]
    assert len({record.id for record in made}) == 3
    assert made[0].id == derived_from(scoped_id(once, ID), "0")
    assert [dict(record.headers).get("ce_processid") for record in made] == [None, None, b"p/1"]


def test_a_command_sent_again_in_another_spelling_is_the_same_one(codec: Codec) -> None:
    """Its time, its trace and what it belongs to are no part of what is asked for."""
    once = str(uuid.uuid4())
    again = record(codec, "Schedule", scheduled(1), id=once, time=NOW + 5_000, correlation_id="c", expires=NOW + 9)
    assert refusals(run(codec, record(codec, "Schedule", scheduled(1), id=once), again)) == [None]


# -- who may send what ---------------------------------------------------------------------------------------------------


def test_what_a_domain_s_own_processes_send_nobody_else_may(codec: Codec) -> None:
    own = frozenset({"flights.DepartFlight"})
    schedule, process = record(codec, "Schedule", scheduled(1)), [("ce_processid", b"p/1")]
    outside = record(codec, "Depart", departing())
    forged = record(codec, "Depart", departing(), extra=process)
    inside = record(codec, "Depart", departing(), extra=process, topic="flights.internal")
    decided = run(codec, schedule, outside, forged, inside, internal=own)
    assert refusals(decided) == [None, "forbidden", UNDECODABLE, None]
    assert decided[1].refusal is not None and "own processes alone" in decided[1].refusal.message


def test_a_domain_says_who_may_and_events_know_who_asked(codec: Codec) -> None:
    def evolve(state: State, event: Message) -> State:
        return {**decider.evolve(state, event), "by": [*state.get("by", []), event.actor and event.actor.id]}

    def may(command: Message, state: State) -> bool:
        return not state.get("by") or command.actor == MINE

    owned = replace(decider, evolve=evolve)
    ledger = Memory(owned)
    decided = run(
        codec,
        record(codec, "Schedule", scheduled(1), actor=MINE),
        record(codec, "Depart", departing(), actor=THEIRS),
        record(codec, "Depart", departing()),
        record(codec, "Depart", departing(), actor=MINE),
        by=owned,
        ledger=ledger,
        may=may,
    )
    assert refusals(decided) == [None, "forbidden", "forbidden", None]
    assert ledger.held[ID][1]["by"] == ["mine", "mine"]
    (event,) = Records("flights", Names(), codec).events(decided[0])
    assert Envelope.from_headers(event.headers).actor == MINE
    assert Envelope.from_headers(Records("flights", Names(), codec).refusal(decided[1]).headers).actor == THEIRS


def test_a_may_that_fails_refuses_the_command_alone(codec: Codec) -> None:
    def may(command: Message, state: State) -> bool:
        return bool(state["nothing"])

    assert refusals(run(codec, record(codec, "Schedule", scheduled(1)), may=may)) == ["decider-failed"]


def test_what_is_copied_into_the_log_fits_whatever_came(codec: Codec) -> None:
    """The record of a refusal of a command whose key is none has a key that stands for it."""
    long = record(codec, "Schedule", scheduled(1), raw_key=b"k" * 900_000, extra=[("traceparent", b"t" * 100_000)])
    (decided,) = run(codec, long)
    made = Records("flights", Names(), codec).refusal(decided)
    assert isinstance(made.key, str) and made.key.startswith("no-key-") and len(made.key) < KEY_LIMIT
    assert len(made.value or b"") + sum(len(name) + len(value or b"") for name, value in made.headers) < 10_000


def test_what_may_does_to_a_state_does_not_reach_the_decider(codec: Codec) -> None:
    def may(command: Message, state: State) -> bool:
        state["status"] = "cancelled"
        return True

    decided = run(codec, record(codec, "Schedule", scheduled(1)), record(codec, "Depart", departing()), may=may)
    assert refusals(decided) == [None, None]
