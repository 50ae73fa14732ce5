"""A log that was written when eventfold was called logfold is folded to the same read models, and decided no more.

tests/recorded_log holds what `logfold export` saved of it, and the digests that `logfold digest` told of its read models.
Its topics had the prefix `former.`, on which digests depend.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from eventfold import Outcome
from eventfold.tools.history_check.samples import History, Sample
from tests.support import log
from tests.support.local_stack import REPOSITORY
from tests.support.sandbox import OpenSandbox, Sandbox

FOLDER = REPOSITORY / "tests" / "recorded_log"
PREFIX = "former."
DIGESTS = json.loads((FOLDER / "digests.json").read_text())
TOPICS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def restored(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """The log of before, restored, with all daemons of today, which have read all of it."""
    with open_sandbox(partitions=0, prefix=PREFIX, EVENTFOLD_DOMAINS="flights,accounts") as sandbox:
        for topic in TOPICS:
            sandbox.ok("import-log", str(FOLDER / topic), topic)
        sandbox.create_topics(partitions=3)
        sandbox.start("run", "all").wait_for_log("event=assigned", times=12)
        sandbox.caught_up("flights.handler", "accounts.handler", *DIGESTS)
        yield sandbox


def test_it_is_folded_to_the_digests_that_were_recorded(restored: Sandbox) -> None:
    found = {name: restored.json("digest", name)[0] for name in DIGESTS}
    assert {name: {"rows": of["rows"], "digest": of["digest"]} for name, of in found.items()} == DIGESTS


def test_nothing_is_decided_again(restored: Sandbox) -> None:
    for topic in ("flights.events", "accounts.events", "flights.refusals", "accounts.refusals"):
        assert sorted(record.value for record in log.read(restored, topic)) == sorted(of.value() for of in samples(topic))


def test_what_was_accepted_stays_so_under_its_id(restored: Sandbox) -> None:
    deposit = of_type("accounts.commands", "accounts.Deposit")
    first = next(event for event in samples("accounts.events") if header(event, "ce_causationid") == header(deposit, "ce_id"))
    outcome = sent_again(restored, deposit)
    assert outcome.accepted
    assert outcome.version == int(header(first, "ce_sequence"))


def test_what_was_refused_stays_so_under_its_id(restored: Sandbox) -> None:
    """The proof is a logfold.CommandRefused."""
    refusal = next(sample for sample in samples("accounts.refusals") if b"overdraft" in (sample.value() or b""))
    assert header(refusal, "ce_type") == "logfold.CommandRefused"
    command = next(of for of in samples("accounts.commands") if header(of, "ce_id") == header(refusal, "ce_causationid"))
    outcome = sent_again(restored, command)
    assert (outcome.accepted, outcome.code) == (False, "overdraft")


def sent_again(sandbox: Sandbox, command: Sample) -> Outcome:
    message = sandbox.installation.codec.decode(command.value())
    key = (command.key() or b"").decode()
    return sandbox.client.submit(message.type, key, message.data, id=header(command, "ce_id"), timeout_s=30)


def samples(topic: str) -> Iterator[Sample]:
    return (sample for of in History.read(FOLDER / topic).slices.values() for sample in of)


def of_type(topic: str, type_: str) -> Sample:
    return next(sample for sample in samples(topic) if header(sample, "ce_type") == type_)


def header(sample: Sample, name: str) -> str:
    value = dict(sample.headers())[name]
    assert isinstance(value, bytes)
    return value.decode()
