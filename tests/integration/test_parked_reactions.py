"""What a process manager cannot react to: it stops there, tries again, or puts the key aside in its order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventfold.processors.dead_letters.letters import DISCARDED, PARKED, RETRIED
from eventfold.processors.dead_letters.owner import DISCARD, RETRY, Resolved
from eventfold.processors.dead_letters.topic import DeadLetters
from eventfold.processors.reactor.reparking import resolve
from eventfold.producers.process_manager import Emit, ProcessManager
from eventfold.schemas.ids import derived_id
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import Place
from tests.support import log
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.parcels import edited, importable, install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

BAD, GOOD = 0, 1
RETURNS = "parcels/returns.py"


def keys_on(partition: int) -> Iterator[str]:
    """Ids of parcels that belong to a partition of two."""
    return (key for number in range(1_000) if partition_of(key := f"P-{number}", 2) == partition)


BAD_KEYS, GOOD_KEYS = [next(keys) for keys in [keys_on(BAD)] for _ in range(3)], [next(keys_on(GOOD))]
KEY, OTHER, THIRD = BAD_KEYS


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The package, its process manager with one policy or another; this process has the first."""
    found = {"stop": install_parcels(tmp_path_factory.mktemp("stop"))}
    for name, policy in (("park", "Park()"), ("retry", "Retry(times=3, first_s=0.3, longest_s=0.3, then=Park())")):

        def edit(source: Path, policy: str = policy) -> None:
            edited(RETURNS, "Refused, Stop", "Park, Refused, Retry")(source)
            edited(RETURNS, "on_failure=Stop()", f"on_failure={policy}")(source)

        found[name] = install_parcels(tmp_path_factory.mktemp(name), edit)
    with importable(found["stop"]):
        yield found


@pytest.fixture
def own(open_sandbox: OpenSandbox, policies: dict[str, Path]) -> Iterator[Sandbox]:
    with open_sandbox(EVENTFOLD_DOMAINS="parcels", PYTHONPATH=python_path(policies["stop"])) as sandbox:
        yield sandbox


def start(sandbox: Sandbox, policies: dict[str, Path], policy: str, instance: str = "one") -> Daemon:
    return sandbox.process_manager("returns", instance, PYTHONPATH=python_path(policies[policy]))


def came_back(sandbox: Sandbox, key: str, reason: str, *, bad: bool = False) -> str:
    """Write such an event, past the handler; returns its id. `bad`: what the process manager is told is no text."""
    headers = log.envelope("parcels.ParcelReturned", key, sequence=1)
    value = sandbox.installation.codec.encode("parcels.ParcelReturned", {"reason": reason})
    log.write(sandbox, "parcels.events", key, value[:-1] if bad else value, headers)
    return dict(headers)["ce_id"].decode()  # type: ignore[union-attr]


def depots(sandbox: Sandbox, key: str) -> list[str]:
    """What was emitted because of a parcel, in order."""
    decode = sandbox.installation.codec.decode
    return [decode(c.value).data["depot"] for c in log.read(sandbox, "parcels.internal") if c.key == f"{key}-back"]


def letters(sandbox: Sandbox, key: str) -> list[log.Record]:
    """Those of the process manager; its timers, which are a projection, park what they cannot fold too."""
    found = log.read(sandbox, "parcels.dead-letters")
    return [letter for letter in found if letter.key == key and letter.header("eventfold-owner") == "returns"]


def letters_of(sandbox: Sandbox, key: str) -> list[tuple[str, str]]:
    return [
        (letter.header("eventfold-state"), letter.header("eventfold-origin").removeprefix(sandbox.prefix))
        for letter in letters(sandbox, key)
    ]


def bad_place(sandbox: Sandbox) -> Place:
    """The partition of the keys that cannot be reacted to."""
    return sandbox.topic("parcels.events"), BAD


def returns(sandbox: Sandbox) -> ProcessManager:
    return sandbox.installation.runtime.process_manager("returns")


def test_stop_leaves_the_partition_standing_and_no_other(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "stop")
    came_back(own, OTHER, "before")
    came_back(own, KEY, "bad", bad=True)
    came_back(own, OTHER, "behind")
    daemon.wait_for_log("the partition stands still")
    came_back(own, GOOD_KEYS[0], "good")
    eventually(lambda: depots(own, GOOD_KEYS[0]) == ["good"], "the other partition goes on")
    place = f"{own.topic('parcels.events')}/{BAD}"

    def stalled() -> dict[str, str]:
        found = [body["stalled"] for body in own.status() if body["role"] == "process-manager"]
        return found[0] if found else {}

    shown = eventually(stalled, "status shows it")
    assert list(shown) == [place]
    assert f"{place}@1 key b'{KEY}'" in shown[place]
    assert place in own.run("doctor").stdout
    assert depots(own, OTHER) == ["before"]
    assert daemon.stop() == 0
    again = start(own, policies, "stop")
    again.wait_for_log("the partition stands still")
    assert depots(own, OTHER) == ["before"]
    assert log.committed(own, "returns.process-manager", "parcels.events")[BAD] == 1
    assert log.read(own, "parcels.dead-letters") == []


def test_park_puts_the_key_aside_in_order_until_it_is_retried(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "park")
    came_back(own, KEY, "before")
    id_ = came_back(own, KEY, "bad" + "x" * 60, bad=True)
    for reason in ("first", "second"):
        came_back(own, KEY, reason)
    came_back(own, OTHER, "goes on")
    own.caught_up("returns.process-manager")
    assert depots(own, KEY) == ["before"]
    assert depots(own, OTHER) == ["goes on"]
    origins = [f"parcels.events/{BAD}@{offset}" for offset in (1, 2, 3)]
    assert letters_of(own, KEY) == [(PARKED, origin) for origin in origins]
    errors = [letter.header("eventfold-error") for letter in letters(own, KEY)]
    assert "the body is not a parcels.ParcelReturned" in errors[0]
    assert errors[1:] == [f"an earlier record of this key is parked: {own.prefix}{origins[0]}"] * 2
    place = f"{own.topic('parcels.events')}/{BAD}"
    eventually(lambda: [b for b in own.status() if b.get("parked") == {place: 1}], "status shows it")

    # A restart knows it from the topic alone.
    assert daemon.stop() == 0
    again = start(own, policies, "park")
    came_back(own, KEY, "third")
    own.caught_up("returns.process-manager")
    assert len(letters_of(own, KEY)) == 4

    (listed,) = own.json("dead-letters", "list", "--owner", "returns.process-manager")
    assert (listed["key"], listed["events"]) == (KEY, 4)
    assert listed["origin"] == f"{own.prefix}{origins[0]}"
    assert "4 still wait" in own.run("dead-letters", "retry", "returns.process-manager", KEY).stdout

    runtime = own.installation.runtime
    failed = resolve(runtime, returns(own), KEY.encode(), bad_place(own), RETRY)
    assert (failed.done, failed.dropped, failed.left) == (0, 0, 4)
    assert f"{BAD}@1 key b'{KEY}'" in failed.error
    assert len(letters_of(own, KEY)) == 4
    assert resolve(runtime, returns(own), KEY.encode(), bad_place(own), DISCARD) == Resolved(
        key=KEY.encode(), done=3, dropped=1
    )
    assert depots(own, KEY) == ["before", "first", "second", "third"]
    assert [state for state, _ in letters_of(own, KEY)] == [PARKED] * 4 + [DISCARDED] + [RETRIED] * 3
    assert DeadLetters(runtime).open() == []
    again.wait_for_log("no longer parked")
    came_back(own, KEY, "fourth")
    eventually(lambda: depots(own, KEY)[4:] == ["fourth"], "the key is reacted to again")
    assert derived_id(id_, "returns:0") not in {c.header("ce_id") for c in log.read(own, "parcels.internal")}


def test_a_retry_uses_the_code_of_today_and_keeps_the_ids(own: Sandbox, policies: dict[str, Path]) -> None:
    key = next(k for number in range(1_000) if partition_of(k := f"{number}".ljust(510, "x"), 2) == BAD)
    start(own, policies, "park")
    ids = [came_back(own, key, "too long a key"), came_back(own, key, "behind")]
    own.caught_up("returns.process-manager")
    assert len(letters_of(own, key)) == 2
    assert "is not an aggregate's id" in letters(own, key)[0].header("eventfold-error")
    manager = ProcessManager(name="returns", domains=("parcels",))
    manager.on("parcels.ParcelReturned")(
        lambda event: [Emit("parcels.PostParcel", f"{event.key[:3]}-back", {"depot": event.data["reason"], "weight_g": 1})]
    )
    assert resolve(own.installation.runtime, manager, key.encode(), bad_place(own), RETRY) == Resolved(key=key.encode(), done=2)
    commands = log.read(own, "parcels.internal")
    assert [c.header("ce_id") for c in commands] == [derived_id(id_, "returns:0") for id_ in ids]
    assert {c.header("ce_processid") for c in commands} == {f"returns/{key}"}
    assert resolve(own.installation.runtime, manager, key.encode(), bad_place(own), RETRY) == Resolved(key=key.encode())


def test_a_key_that_is_skipped_is_free_again(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "park")
    for number in range(3):
        came_back(own, KEY, f"{number}", bad=number == 0)
    own.caught_up("returns.process-manager")
    own.ok("dead-letters", "skip-key", "returns.process-manager", KEY, "--yes")
    assert [state for state, _ in letters_of(own, KEY)] == [PARKED] * 3 + [DISCARDED] * 3
    daemon.wait_for_log("no longer parked")
    came_back(own, KEY, "after")
    eventually(lambda: depots(own, KEY) == ["after"], "it goes on with what comes")


def test_events_that_come_while_a_key_is_retried_keep_their_order(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "park")
    came_back(own, KEY, "0", bad=True)
    for number in range(1, 50):
        came_back(own, KEY, f"{number}")
    own.caught_up("returns.process-manager")
    resolve(own.installation.runtime, returns(own), KEY.encode(), bad_place(own), DISCARD)
    for number in range(50, 150):
        came_back(own, KEY, f"{number}")
    while "no longer parked" not in daemon.log or DeadLetters(own.installation.runtime).open():
        resolve(own.installation.runtime, returns(own), KEY.encode(), bad_place(own), RETRY)
    own.caught_up("returns.process-manager")
    assert depots(own, KEY) == [str(number) for number in range(1, 150)]


def test_retry_pauses_the_partition_alone_and_parks_in_the_end(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "retry")
    came_back(own, KEY, "bad", bad=True)
    came_back(own, OTHER, "behind")
    # The projector of its timers, in the same process, says the same of itself.
    tries_again = 'event="trying again later" process_manager=returns'
    daemon.wait_for_log(tries_again)
    came_back(own, GOOD_KEYS[0], "good")
    eventually(lambda: depots(own, OTHER) == ["behind"], "it goes on behind what is parked")
    assert daemon.log.count(tries_again) == 3
    assert depots(own, GOOD_KEYS[0]) == ["good"]
    assert letters_of(own, KEY) == [(PARKED, f"parcels.events/{BAD}@0")]


def test_what_one_parked_another_that_takes_over_knows(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "park", "left")
    came_back(own, KEY, "bad", bad=True)
    own.caught_up("returns.process-manager")
    daemon.kill()
    came_back(own, KEY, "behind")
    came_back(own, THIRD, "goes on")
    start(own, policies, "park", "right")
    eventually(lambda: depots(own, THIRD) == ["goes on"], "the other one has taken over")
    assert depots(own, KEY) == []
    assert [state for state, _ in letters_of(own, KEY)] == [PARKED, PARKED]


def test_what_was_discarded_stays_so_when_the_group_loses_its_offsets(own: Sandbox, policies: dict[str, Path]) -> None:
    daemon = start(own, policies, "park")
    came_back(own, KEY, "bad", bad=True)
    came_back(own, OTHER, "good")
    own.caught_up("returns.process-manager")
    assert resolve(own.installation.runtime, returns(own), KEY.encode(), bad_place(own), DISCARD) == Resolved(
        key=KEY.encode(), dropped=1
    )
    assert daemon.stop() == 0
    group = own.topic("returns.process-manager")
    own.admin.delete_consumer_groups([group])[group].result(30)
    start(own, policies, "park")
    own.caught_up("returns.process-manager")
    assert depots(own, OTHER) == ["good", "good"]
    assert [state for state, _ in letters_of(own, KEY)] == [PARKED, DISCARDED]
