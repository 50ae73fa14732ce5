"""Decisions do not depend on whether an aggregate stayed in memory or was read from Redis meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Message as Record
from redis import Redis

from eventfold.processors.handler.asked import Asked
from eventfold.processors.handler.decide import Rules, decide
from eventfold.processors.handler.ledger import Ledger
from eventfold.processors.open_slice import OpenSlice
from eventfold.producers.decider import Decider, Decision, Refusal, State
from eventfold.schemas.codec import Codec
from eventfold.schemas.ids import scoped_id
from eventfold.schemas.message import Message
from eventfold.store.commits import Changes, Commit
from eventfold.store.ledgers import AGGREGATES
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId
from tests.support.avro import catalog_of
from tests.support.sandbox import OpenSandbox, Sandbox

VOTER = str(uuid.UUID(int=7))


@pytest.fixture(scope="module")
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


class Poll:
    """What a handler does with the votes of one poll, each in a batch of its own; `restart` is a process that begins anew."""

    def __init__(self, redis: Redis, rules: Rules) -> None:
        self._redis = redis
        self._rules = rules
        self._store = SliceStore(redis)
        generation = uuid.uuid4().hex
        self._ids = [
            SliceId(owner="shop", generation=generation, topic=f"shop.{of}", partition=0) for of in ("events", "refusals")
        ]
        self.restart()

    def restart(self) -> None:
        progress = self._store.progress(self._ids)
        events, refusals = (OpenSlice(of, at) for of, at in zip(self._ids, progress, strict=True))
        self._ledger = Ledger(self._rules.decider, self._redis, events, refusals, 1)

    def vote(self, *voters: str) -> str:
        """`accepted`, or the code of the refusal."""
        record = Record(topic="shop.commands", partition=0, offset=0, key=b"poll")
        id_ = str(uuid.uuid4())
        message = Message("shop.Vote", {"voters": voters})
        asked = Asked(record, key="poll", id=id_, scoped=scoped_id(id_, "poll"), message=message)
        (done,) = decide(self._rules, self._ledger, [asked], 0)
        self._commit()
        return "accepted" if done.refusal is None else done.refusal.code

    @property
    def state(self) -> State:
        return self._ledger.aggregate("poll")[1]

    def _commit(self) -> None:
        events, changes = self._ledger.events, Changes()
        for key, snapshot in self._ledger.snapshots().items():
            changes.put(AGGREGATES, key, snapshot)
        after = replace(events.progress, offset=events.progress.offset + 1)
        commit = Commit(slice=events.id, before=events.progress, after=after, changes=changes)
        assert self._store.commit([commit]) == [True]
        events.committed(commit)
        self._ledger.trim()


@pytest.fixture
def poll(corner: Sandbox, tmp_path: Path) -> Callable[[Decider], Poll]:
    codec = Codec(catalog_of(tmp_path, {"Voted.v1": [{"name": "voter", "type": "string"}]}))
    return lambda decider: Poll(corner.redis, Rules(decider=decider, codec=codec, partitions=1))


def votes(*, careless: bool = False) -> Decider:
    """One vote a voter. Voters are UUIDs in what `evolve` returns; `careless`: `decide` changes the state and refuses."""

    def decide(state: State, command: Message) -> Decision:
        for voter in command.data["voters"]:
            if uuid.UUID(voter) in state["voters"]:
                return Refusal(code="repeated", message="one vote each")
        if careless and state["voters"]:
            state["voters"].clear()
            return Refusal(code="closed", message="one vote is enough")
        return [Message("shop.Voted", {"voter": voter}) for voter in command.data["voters"]]

    def evolve(state: State, event: Message) -> State:
        return {
            "voters": [*state["voters"], uuid.UUID(event.data["voter"])],
            "met": [type(of).__name__ for of in state["voters"]],
        }

    return Decider(version=1, initial=lambda: {"voters": []}, decide=decide, evolve=evolve)


def test_a_second_vote_is_decided_alike_with_and_without_a_restart(poll: Callable[[Decider], Poll]) -> None:
    stays, restarts = poll(votes()), poll(votes())
    decided = []
    for of in (stays, restarts):
        first = of.vote(VOTER)
        if of is restarts:
            of.restart()
        decided.append([first, of.vote(VOTER)])
    assert decided[0] == decided[1]


def test_the_events_of_one_command_meet_what_is_read_back_too(poll: Callable[[Decider], Poll]) -> None:
    at_once = poll(votes())
    assert at_once.vote(VOTER, str(uuid.UUID(int=8)), str(uuid.UUID(int=9))) == "accepted"
    assert at_once.state["met"] == ["str", "str"]


def test_what_decide_does_to_a_state_is_gone_with_its_decision(poll: Callable[[Decider], Poll]) -> None:
    careless = poll(votes(careless=True))
    assert [careless.vote(VOTER) for _ in range(3)] == ["accepted", "closed", "closed"]
