"""The local stack's plan, settings and refusals, as far as they start nothing."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
sys.path.insert(0, str(DEPLOY))

import stack  # noqa: E402
import stack_jars  # noqa: E402
import stack_kafka  # noqa: E402
import stack_redis  # noqa: E402
import stack_registry  # noqa: E402
from stack_plan import Plan, StackError, Wish  # noqa: E402
from stack_processes import Process  # noqa: E402
from stack_record import Record, load, record_file, save  # noqa: E402
from stack_signals import NUMBERS, Interrupted, Signals  # noqa: E402

THREE = Plan(brokers=3, kafka_port=19092, redis_port=16379)


def test_a_plan_gives_each_broker_its_own_ports() -> None:
    assert THREE.names == ("redis", "kafka-1", "kafka-2", "kafka-3")
    assert [THREE.ports(name) for name in THREE.names] == [(16379,), (19092, 19102), (19093, 19103), (19094, 19104)]
    assert THREE.bootstrap_servers == "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094"


@pytest.mark.parametrize(
    ("brokers", "kafka_port", "redis_port"),
    [(2, 9092, 6379), (1, 0, 6379), (1, 65530, 6379), (1, 9092, 70000), (1, 9092, 9102), (3, 9092, 9094)],
)
def test_a_plan_that_cannot_work_is_refused(brokers: int, kafka_port: int, redis_port: int) -> None:
    with pytest.raises(StackError):
        Plan(brokers=brokers, kafka_port=kafka_port, redis_port=redis_port)


def test_a_plan_with_a_registry_gives_it_a_port_and_a_url() -> None:
    plan = Plan(registry=True, registry_port=18081)
    assert plan.names == ("redis", "kafka-1", "registry")
    assert plan.ports("registry") == (18081,)
    assert plan.registry_url == "http://127.0.0.1:18081/apis/ccompat/v7"
    assert Plan().registry_url is None


@pytest.mark.parametrize("port", [0, 70000, 6379, 9092, 9102])
def test_a_registry_port_that_cannot_work_is_refused_where_there_is_a_registry(port: int) -> None:
    Plan(registry_port=port)
    with pytest.raises(StackError, match=f"registry port {port}"):
        Plan(registry=True, registry_port=port)


def test_a_registry_can_be_added_to_a_stack_and_nothing_else_changed() -> None:
    with_registry = Wish(registry=True, registry_port=18081).over(THREE)
    assert with_registry.adds_a_registry_to(THREE)
    assert not THREE.adds_a_registry_to(with_registry)
    assert not Wish(registry_port=18082).over(with_registry).adds_a_registry_to(with_registry)
    assert not Wish(registry=True, redis_port=1234).over(THREE).adds_a_registry_to(THREE)


def test_a_wish_changes_only_what_it_names() -> None:
    assert Wish().over(THREE) == THREE
    assert Wish(redis_port=1234).over(THREE) == Plan(brokers=3, kafka_port=19092, redis_port=1234)


@pytest.mark.parametrize(
    ("shown", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_401"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_java_version_is_read_from_what_java_says(shown: str, version: int | None) -> None:
    assert stack_kafka.java_version(shown) == version


def test_ids_have_the_form_kafka_demands() -> None:
    for _ in range(200):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", stack_kafka.new_id())


def test_three_nodes_replicate_and_never_name_static_voters() -> None:
    settings = stack_kafka.node_settings(THREE, 2)
    assert settings["node.id"] == "2"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:19093,CONTROLLER://127.0.0.1:19103"
    assert settings["controller.quorum.bootstrap.servers"] == "127.0.0.1:19102,127.0.0.1:19103,127.0.0.1:19104"
    assert settings["default.replication.factor"] == "3"
    assert settings["min.insync.replicas"] == settings["transaction.state.log.min.isr"] == "2"
    assert "controller.quorum.voters" not in settings


def test_one_node_asks_for_no_copies() -> None:
    settings = stack_kafka.node_settings(Plan(), 1)
    assert {value for key, value in settings.items() if "replic" in key or key.endswith("min.isr")} == {"1"}


def test_compose_runs_the_same_settings() -> None:
    compose = (DEPLOY / "compose.yaml").read_text()
    of_its_network = {"listeners", "advertised.listeners", "controller.quorum.bootstrap.servers", "log.dirs"}
    for key, value in stack_kafka.node_settings(Plan(), 1).items():
        expected = f"{key}=" if key in of_its_network else f"{key}={value}\n"
        assert f"      {expected}" in compose
    assert "file: local/kafka.properties" in compose
    assert "file: local/redis.conf" in compose
    kafka = re.search(r"<kafka.version>(.*)</kafka.version>", (DEPLOY / "pom.xml").read_text())
    assert kafka
    assert f"image: apache/kafka:{kafka.group(1)}\n" in compose
    assert f"image: apicurio/apicurio-registry:{stack_registry.VERSION}\n" in compose
    database = stack_registry.settings(Plan(), "")["apicurio.datasource.url"]
    assert f"APICURIO_DATASOURCE_URL: {database.replace('./', '/var/lib/registry/')}\n" in compose


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record(plan=THREE, cluster_id="abc", formatted=True, processes={"redis": Process(7, "boot:123")})
    save(tmp_path, record)
    assert load(tmp_path) == record


def test_a_record_from_before_there_were_registries_has_none(tmp_path: Path) -> None:
    save(tmp_path, Record(plan=THREE, cluster_id="abc"))
    content = json.loads(record_file(tmp_path).read_text())
    for key in ("registry", "registry_port", "registry_url"):
        del content[key]
    record_file(tmp_path).write_text(json.dumps(content))
    assert load(tmp_path) == Record(plan=THREE, cluster_id="abc")


def test_a_folder_without_a_record_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"brokers": 1, "kafka_port": "x", "redis_port": 1}'])
def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    record_file(tmp_path).write_text(text)
    with pytest.raises(StackError, match=r"stack\.json is damaged"):
        load(tmp_path)


def test_jars_of_another_pom_do_not_count(tmp_path: Path) -> None:
    pom, libs = tmp_path / "pom.xml", tmp_path / "libs"
    pom.write_text("<project/>")
    libs.mkdir()
    kafka = stack_jars.kafka(pom)
    assert not kafka.held_by(libs)
    (libs / "pom.sha256").write_text("some other")
    assert not kafka.held_by(libs)
    (libs / "pom.sha256").write_text(kafka.wanted)
    assert kafka.held_by(libs)


def test_another_archive_than_the_chosen_one_is_refused_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, libs = tmp_path / "bin", tmp_path / "libs"
    programs.mkdir()
    maven = programs / "mvn"
    maven.write_text("#!/bin/sh\necho other > other-all.tar.gz\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(StackError, match=r"has the SHA-256 [0-9a-f]{64}, not"):
        stack_jars.fetch(libs, stack_registry.bundle(), lambda _: None)
    assert [path.name for path in tmp_path.glob("libs*")] == ["libs.lock"]


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("redis://127.0.0.1:16379/0", True),
        ("redis://localhost:16379", True),
        ("redis://127.0.0.1:6379/0", False),
        ("redis://127.0.0.1", False),
        ("redis://10.0.0.5:16379/0", False),
        ("rediss://127.0.0.1:16379/0", False),
        ("unix:///tmp/redis.sock", False),
        ("redis://127.0.0.1:port/0", False),
        ("nonsense", False),
    ],
)
def test_only_the_plans_own_address_may_be_emptied(url: str, own: bool) -> None:
    assert stack_redis.is_address_of(url, THREE) is own


def test_a_password_is_not_shown() -> None:
    assert stack_redis.without_password("redis://me:se@cret@host:1/0") == "redis://***@host:1/0"
    assert stack_redis.without_password("redis://host:1/0") == "redis://host:1/0"
    assert stack_redis.without_password("redis://host:1/0?password=secret") == "redis://host:1/0"
    for url in ("redis://host/0?password=se@cret", "redis://me:se/cret@host", "redis://me:se?cret@host"):
        assert stack_redis.without_password(url) == "redis://***"


def test_settings_come_from_options_before_the_environment() -> None:
    environment = {"KAFKA_PORT": "1111", "REDIS_PORT": "2222", "REGISTRY_PORT": "4444", "EVENTFOLD_STACK": "/some/state"}
    given = stack.parser(environment).parse_args(["up", "--redis-port", "3333"])
    assert (given.kafka_port, given.redis_port, given.brokers) == (1111, 3333, None)
    assert (given.registry_port, given.registry) == (4444, None)
    assert given.state == Path("/some/state")


@pytest.mark.parametrize("arguments", [[], ["fly"], ["up", "--brokers", "2"], ["up", "--kafka-port", "x"], ["down", "x"]])
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        stack.parser({}).parse_args(arguments)
    assert ended.value.code == 2
    assert "usage: stack.py" in capsys.readouterr().err


def test_a_port_in_the_environment_that_is_no_number_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        stack.parser({"KAFKA_PORT": "tcp://10.0.0.1:9092"}).parse_args(["up"])
    assert ended.value.code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_raised_at_once_and_by_every_check_after_it(signals: Signals, number: signal.Signals, code: int) -> None:
    signals.check()
    with pytest.raises(Interrupted):
        signal.raise_signal(number)
    for again in (signals.check, signals.ignore):
        with pytest.raises(Interrupted) as raised:
            again()
        assert raised.value.exit_code == code


def test_when_all_is_done_a_signal_changes_nothing(signals: Signals) -> None:
    signals.ignore()
    for number in NUMBERS:
        signal.raise_signal(number)
    signals.check()
