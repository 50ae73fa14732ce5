"""A process manager's daemons, killed and put to sleep while they react: each event leads to its command once, in order."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventfold.schemas.ids import derived_id
from tests.faults.kills import seeds
from tests.support import log
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.parcels import importable, install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.soak import SOAK

ROUNDS, EVENTS, KEYS = (5, 6_000, 300) if SOAK else (3, 2_000, 300)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = install_parcels(tmp_path_factory.mktemp("parcels"))
    with importable(folder):
        yield folder


class Log:
    """Events that the process manager reacts to, written past any handler; each says how many of its key came before."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self._sandbox = sandbox
        self._chance = chance
        self.ids: dict[str, list[str]] = defaultdict(list)

    def grow(self, count: int) -> None:
        producer, codec = self._sandbox.producer, self._sandbox.installation.codec
        for _ in range(count):
            key = f"P-{self._chance.randrange(KEYS)}"
            headers = log.envelope("parcels.ParcelReturned", key)
            value = codec.encode("parcels.ParcelReturned", {"reason": str(len(self.ids[key]))})
            producer.produce(self._sandbox.topic("parcels.events"), key=key, value=value, headers=headers)
            producer.poll(0)
            self.ids[key].append(dict(headers)["ce_id"].decode())  # type: ignore[union-attr]
        assert producer.flush(30) == 0


@pytest.mark.parametrize("seed", seeds(20))
def test_killing_and_stopping_its_daemons(open_sandbox: OpenSandbox, installed: Path, seed: int) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    with open_sandbox(partitions=4, PYTHONPATH=python_path(installed), EVENTFOLD_DOMAINS="parcels") as sandbox:

        def start(name: str) -> Daemon:
            return sandbox.start("--instance", name, "run", "process-manager", "returns")

        daemons = {name: start(name) for name in ("left", "right")}
        written = Log(sandbox, chance)

        def kill(name: str) -> None:
            daemons[name].kill()
            daemons[name] = start(name)

        def shared() -> bool:
            """Kafka does not know yet of one that was killed, nor a heartbeat of one that was expelled in its sleep."""
            by_kafka = [*sandbox.members("returns.process-manager").values()]
            return by_kafka == sandbox.partitions_of("process-manager") == [4, 4]

        def put_to_sleep(name: str) -> None:
            """Until the other one has its partitions."""
            (other,) = daemons.keys() - {name}
            before = daemons[other].log.count("event=assigned process_manager")
            os.kill(daemons[name].pid, signal.SIGSTOP)
            try:
                daemons[other].wait_for_log("event=assigned process_manager", before + 1, 60)
            finally:
                os.kill(daemons[name].pid, signal.SIGCONT)

        for _ in range(ROUNDS):
            eventually(shared, "each has four of eight partitions", 60)
            written.grow(EVENTS)
            # Not to wait for anything: what happens is to fall anywhere within a batch.
            time.sleep(chance.random() * 0.5)
            chance.choice([kill, kill, put_to_sleep])(chance.choice(["left", "right"]))
        sandbox.caught_up("returns.process-manager", timeout_s=90)
        assert all(daemon.runs for daemon in daemons.values())

        found: dict[str, list[str]] = defaultdict(list)
        for command in log.read(sandbox, "parcels.internal"):
            assert command.key is not None
            found[command.key].append(command.header("ce_id"))
        wanted = {f"{key}-back": [derived_id(id_, "returns:0") for id_ in ids] for key, ids in written.ids.items()}
        assert {key: len(ids) for key, ids in found.items()} == {key: len(ids) for key, ids in wanted.items()}
        assert found == wanted
