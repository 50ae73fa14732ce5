"""The local stack for real: brokers and a Redis of its own, brought up, broken, emptied and ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
sys.path.insert(0, str(DEPLOY))

import stack_lifecycle  # noqa: E402
from stack_plan import Plan, Wish  # noqa: E402
from stack_ports import why_unusable  # noqa: E402
from stack_processes import Process, launch, start_time, stop  # noqa: E402
from stack_record import Record, save  # noqa: E402
from stack_signals import Interrupted, Signals  # noqa: E402
from tests.support.local_stack import BRIEF  # noqa: E402

DEADLINE = 60.0
CONTROLLER_OFFSET = 10

if shutil.which("java") is None and "CI" not in os.environ:
    pytest.skip("the local stack needs Java 17 or newer on the PATH", allow_module_level=True)

# Fetching Kafka's jars is part of the first `up` of a checkout.
pytestmark = pytest.mark.timeout(600)


class Stack:
    """The command line of one state folder."""

    def __init__(self, state: Path, *, brokers: int = 1) -> None:
        self.state = state
        self.kafka_port, self.redis_port = free_ports(brokers)
        self.options = [
            *("--brokers", str(brokers), "--kafka-port", str(self.kafka_port), "--redis-port", str(self.redis_port))
        ]

    def command(self, name: str, *options: str) -> list[str]:
        return [sys.executable, str(DEPLOY / "stack.py"), name, "--state", str(self.state), *options]

    def run(self, name: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *options),
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(environment),
        )

    def up(self) -> str:
        done = self.run("up", *self.options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, name: str, *options: str, **environment: str) -> str:
        """The error of a call that must fail with exit code 1 and without a traceback."""
        done = self.run(name, *options, **environment)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def pid(self, name: str) -> int:
        found: int = self.record()["processes"][name]["pid"]
        return found

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "stack.json").read_text())
        return found

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"


def clean_environment(changes: Mapping[str, str]) -> dict[str, str]:
    ours = ("KAFKA_PORT", "REDIS_PORT", "REGISTRY_PORT", "EVENTFOLD_STACK")
    return {**{key: value for key, value in os.environ.items() if key not in ours}, **BRIEF, **changes}


def free_ports(brokers: int) -> tuple[int, int]:
    """A Kafka port with the ports that follow from it, and a Redis port, all free and below the ephemeral ones."""
    start = 20000 + os.getpid() % 100 * 100
    for base in (*range(start, 32000, 50), *range(20000, start, 50)):
        needed = [base + offset + node for offset in (0, CONTROLLER_OFFSET) for node in range(brokers)]
        if all(why_unusable(port) is None for port in (*needed, base + 30)):
            return base, base + 30
    raise AssertionError("no free ports")


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack of one broker, in a folder whose name needs quoting."""
    made = Stack(tmp_path_factory.mktemp("one") / "a stack, ünquoted")
    try:
        assert made.up().startswith("Up: ")
        yield made
    finally:
        made.run("clean")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    """A stack that was never up."""
    made = Stack(tmp_path / "stack")
    yield made
    made.run("clean")


def in_a_transaction(bootstrap_servers: str, topic: str) -> bytes | None:
    """Produce one message in a transaction and read it back, read committed, as a KIP-848 group."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": "test"})
    producer.init_transactions(DEADLINE)
    producer.begin_transaction()
    producer.produce(topic, b"a fact")
    producer.commit_transaction(DEADLINE)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"{topic}.reader",
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(DEADLINE)
        assert message is not None
        assert message.error() is None
        value = message.value()
        return value if value is None or isinstance(value, bytes) else value.encode()
    finally:
        consumer.close()


def create(bootstrap_servers: str, topic: NewTopic) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for made in admin.create_topics([topic]).values():
        made.result(DEADLINE)
    wanted = topic.num_partitions
    # The broker that is asked may hear of the new topic later than the one that created it.
    eventually(lambda: len(admin.list_topics(topic.topic, timeout=DEADLINE).topics[topic.topic].partitions) == wanted)
    return admin


def test_up_twice_starts_nothing_twice(stack: Stack) -> None:
    before = stack.record()["processes"]
    assert stack.up().startswith("Already up: ")
    assert stack.run("up").stdout.startswith("Already up: ")
    assert stack.record()["processes"] == before


def test_status_tells_what_runs(stack: Stack) -> None:
    done = stack.run("status")
    shown = json.loads(done.stdout)
    assert done.returncode == 0
    assert shown["bootstrap_servers"] == f"127.0.0.1:{stack.kafka_port}"
    assert {name: each["answers"] for name, each in shown["processes"].items()} == {"redis": True, "kafka-1": True}


def test_env_prints_a_line_for_a_shell(stack: Stack) -> None:
    expected = f"export KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{stack.kafka_port} REDIS_URL={stack.redis_url}\n"
    assert stack.run("env").stdout == expected


def test_a_message_goes_through_in_a_transaction(stack: Stack) -> None:
    servers = f"127.0.0.1:{stack.kafka_port}"
    create(servers, NewTopic("facts", num_partitions=1))
    assert in_a_transaction(servers, "facts") == b"a fact"


def test_topics_are_not_created_by_mentioning_them(stack: Stack) -> None:
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{stack.kafka_port}"})
    assert admin.list_topics("misspelt", timeout=DEADLINE).topics["misspelt"].error is not None
    assert "misspelt" not in admin.list_topics(timeout=DEADLINE).topics


def test_redis_keeps_every_key_and_survives_a_kill(stack: Stack) -> None:
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendfsync")["appendfsync"] == "everysec"
        client.set("kept", "yes")
    os.kill(stack.pid("redis"), signal.SIGKILL)
    eventually(lambda: stack.run("status").returncode == 1)
    stack.up()
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as client:
        assert client.get("kept") == "yes"


def test_a_killed_broker_is_started_again_and_nothing_else(stack: Stack) -> None:
    before = {name: stack.pid(name) for name in ("redis", "kafka-1")}
    os.kill(before["kafka-1"], signal.SIGKILL)
    eventually(lambda: stack.run("status").returncode == 1)
    assert stack.up().startswith("Up: ")
    assert stack.pid("redis") == before["redis"]
    assert stack.pid("kafka-1") != before["kafka-1"]


def test_empty_redis_empties_its_own(stack: Stack) -> None:
    with redis.Redis.from_url(stack.redis_url) as client:
        for options in ([], ["--url", f"redis://localhost:{stack.redis_port}/3"]):
            client.set("row", "1")
            done = stack.run("empty-redis", *options)
            assert done.returncode == 0, done.stderr
            assert client.dbsize() == 0


def test_empty_redis_refuses_a_foreign_server(stack: Stack, tmp_path: Path) -> None:
    _, port = free_ports(1)
    foreign = launch(["redis-server", "--port", str(port), "--save", ""], folder=tmp_path, log=tmp_path / "log")
    try:
        with redis.Redis(port=port) as client:
            eventually(lambda: answers(client))
            client.set("row", "1")
            error = stack.refused("empty-redis", "--url", f"redis://:secret@127.0.0.1:{port}/0")
            assert "Refused" in error
            assert "secret" not in error
            assert client.get("row") == b"1"
    finally:
        stop([foreign], patience=DEADLINE)


def test_empty_redis_refuses_a_foreign_server_at_its_own_address(stack: Stack, tmp_path: Path) -> None:
    own = Process(stack.pid("redis"), stack.record()["processes"]["redis"]["started"])
    stop([own], patience=DEADLINE)
    command = ["redis-server", "--port", str(stack.redis_port), "--save", ""]
    foreign = launch(command, folder=tmp_path, log=tmp_path / "log")
    try:
        with redis.Redis(port=stack.redis_port) as client:
            eventually(lambda: answers(client))
            client.set("row", "1")
            assert "does not run" in stack.refused("empty-redis")
            record = stack.record()
            record["processes"]["redis"] = {"pid": os.getpid(), "started": start_time(os.getpid()), "log": ""}
            (stack.state / "stack.json").write_text(json.dumps(record))
            assert f"pid {foreign.pid}" in stack.refused("empty-redis")
            assert client.get("row") == b"1"
            record["processes"]["redis"] = {"pid": foreign.pid, "started": foreign.started, "log": ""}
            (stack.state / "stack.json").write_text(json.dumps(record))
            assert str(tmp_path) in stack.refused("empty-redis")
            assert client.get("row") == b"1"
            del record["processes"]["redis"]
            (stack.state / "stack.json").write_text(json.dumps(record))
            error = stack.refused("up")
            assert f"taken by pid {foreign.pid} (redis-server" in error
            assert "--redis-port" in error
    finally:
        stop([foreign], patience=DEADLINE)
    stack.up()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_a_running_stack_is_not_changed_into_another(stack: Stack) -> None:
    for options in (["--brokers", "3"], ["--kafka-port", "9099"], ["--redis-port", "6399"]):
        error = stack.refused("up", *options)
        assert "has 1 broker" in error
        assert "make clean" in error
    assert stack.run("status").returncode == 0


def test_down_and_up_again_keep_the_log(stack: Stack) -> None:
    servers = f"127.0.0.1:{stack.kafka_port}"
    create(servers, NewTopic("kept", num_partitions=1))
    assert in_a_transaction(servers, "kept") == b"a fact"
    assert "ended redis, kafka-1" in stack.run("down").stdout
    assert "Already down" in stack.run("down").stdout
    assert stack.run("status").returncode == 1
    stack.up()
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "later", "auto.offset.reset": "earliest"})
    consumer.subscribe(["kept"])
    message = consumer.poll(DEADLINE)
    consumer.close()
    assert message is not None
    assert message.value() == b"a fact"


def test_without_a_stack_every_command_says_so(fresh: Stack) -> None:
    for name in ("status", "env", "empty-redis"):
        assert "make up" in fresh.refused(name)
    for name in ("down", "clean"):
        done = fresh.run(name)
        assert done.returncode == 0
        assert "No stack" in done.stdout
    assert not fresh.state.exists()


def test_a_taken_port_is_named_with_its_owner_before_anything_starts(fresh: Stack) -> None:
    for port in (fresh.kafka_port, fresh.kafka_port + CONTROLLER_OFFSET, fresh.redis_port):
        with socket.create_server(("127.0.0.1", port)):
            error = fresh.refused("up", *fresh.options)
            assert f"Port {port}" in error
            assert f"pid {os.getpid()} " in error
    assert not (fresh.state / "stack.json").exists()


@pytest.mark.parametrize(("missing", "advice"), [("java", "Java"), ("redis-server", "redis-server")])
def test_a_missing_program_is_named(fresh: Stack, tmp_path: Path, missing: str, advice: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in {"java", "redis-server", "mvn"} - {missing}:
        (programs / name).symlink_to(shutil.which(name) or "/nowhere")
    error = fresh.refused("up", *fresh.options, PATH=str(programs))
    assert f"{advice} is not on the PATH" in error
    assert "install" in error


def test_an_old_java_is_named(fresh: Stack, tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert "is Java 11, which is too old" in fresh.refused("up", *fresh.options, PATH=path)


def test_a_broker_that_dies_at_the_start_shows_its_log_and_leaves_nothing(fresh: Stack) -> None:
    fresh.up()
    fresh.run("down")
    shutil.rmtree(fresh.state / "kafka-1" / "data")
    error = fresh.refused("up")
    assert "kafka-1 ended while it started" in error
    assert str(fresh.state / "logs" / "kafka-1.log") in error
    assert "meta.properties" in error
    assert fresh.record()["processes"] == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_ends_what_it_started(fresh: Stack, number: signal.Signals) -> None:
    with subprocess.Popen(
        fresh.command("up", *fresh.options), stderr=subprocess.PIPE, text=True, env=clean_environment({})
    ) as call:
        record = fresh.state / "stack.json"
        eventually(lambda: record.exists() and "kafka-1" in fresh.record()["processes"])
        started = [Process(each["pid"], each["started"]) for each in fresh.record()["processes"].values()]
        call.send_signal(number)
        _, error = call.communicate(timeout=DEADLINE)
    assert call.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert "Ended again: redis, kafka-1." in error
    assert "Traceback" not in error
    assert len(started) == 2
    assert not any(process.running for process in started)
    assert fresh.record()["processes"] == {}


def test_a_signal_whose_exception_got_lost_ends_an_up_all_the_same(fresh: Stack, signals: Signals) -> None:
    """As where it arrives in a callback of confluent_kafka."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("Starting"):
            with suppress(Interrupted):
                signal.raise_signal(signal.SIGTERM)

    fetched = DEPLOY.parent / ".eventfold"
    made = stack_lifecycle.Stack(
        state=fresh.state,
        libs=fetched / "kafka-libs",
        registry_libs=fetched / "registry-libs",
        pom=DEPLOY / "pom.xml",
        say=say,
        signals=signals,
    )
    with pytest.raises(Interrupted) as raised:
        made.up(Wish(brokers=1, kafka_port=fresh.kafka_port, redis_port=fresh.redis_port))
    assert raised.value.exit_code == 143
    assert said[-1] == "Ended again: redis, kafka-1."
    assert fresh.record()["processes"] == {}


def test_two_calls_at_once_bring_up_one_stack(fresh: Stack) -> None:
    command = fresh.command("up", *fresh.options)
    calls = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(call.communicate(timeout=DEADLINE)[0].partition(":")[0] for call in calls)
    assert said == ["Already up", "Up"]


def test_clean_deletes_the_stack_and_nothing_else(fresh: Stack) -> None:
    fresh.up()
    mine = fresh.state / "notes.txt"
    mine.write_text("mine")
    assert "notes.txt" in fresh.run("clean").stdout
    assert list(fresh.state.iterdir()) == [mine]
    assert "no stack.json" in fresh.refused("clean")
    assert "no stack.json" in fresh.refused("up", *fresh.options)
    assert mine.read_text() == "mine"


def test_a_pid_that_was_given_to_another_process_is_left_alone(fresh: Stack) -> None:
    fresh.state.mkdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        earlier = {"redis": Process(other.pid, "an earlier process")}
        save(fresh.state, Record(plan=Plan(), cluster_id="any", formatted=True, processes=earlier))
        assert "Already down" in fresh.run("down").stdout
        assert other.poll() is None
        other.kill()


def test_what_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = launch(
        ["sh", "-c", f"trap '' TERM; : > '{ready}'; while :; do sleep 1; done"], folder=tmp_path, log=tmp_path / "log"
    )
    eventually(ready.exists)
    assert stop([stubborn], patience=0.5) == [stubborn]
    assert not stubborn.running


def test_three_brokers_keep_three_copies_and_outlive_one(tmp_path: Path) -> None:
    three = Stack(tmp_path / "three", brokers=3)
    try:
        three.up()
        servers = three.record()["bootstrap_servers"]
        admin = create(servers, NewTopic("facts", num_partitions=3))
        partitions = admin.list_topics("facts", timeout=DEADLINE).topics["facts"].partitions.values()
        assert [sorted(each.replicas) for each in partitions] == [[1, 2, 3]] * 3
        os.kill(three.pid("kafka-2"), signal.SIGKILL)
        try:
            assert in_a_transaction(servers, "facts") == b"a fact"
        except KafkaException as error:
            pytest.fail(f"one broker of three was missed: {error}")
        three.up()
        assert three.run("status").returncode == 0
        down = three.run("down").stdout
        assert "kafka-1, kafka-2, kafka-3" in down
        assert "killed" not in down
    finally:
        three.run("clean")
