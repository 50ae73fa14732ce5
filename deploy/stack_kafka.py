"""Kafka's brokers: their settings, their storage, their command lines, and whether they answer."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from stack_plan import Plan, StackError, own_folder

LOCAL = Path(__file__).resolve().parent / "local"
OLDEST_JAVA = 17
# A broker that is up answers within milliseconds; the rest is for a busy machine.
ANSWER_SECONDS = 5.0
# Short, so that a broker which dies while it is waited for is noticed soon.
METADATA_SECONDS = 1.0
READINESS = "stack-readiness"


def java() -> str:
    """The path of a Java that can run Kafka's server."""
    advice = f"install a Java {OLDEST_JAVA} or newer (on Debian 12: `apt-get install openjdk-17-jre-headless`)"
    found = shutil.which("java")
    if found is None:
        raise StackError(f"Java is not on the PATH: {advice}.")
    shown = subprocess.run([found, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    version = java_version(shown.stderr + shown.stdout)
    if shown.returncode != 0 or version is None:
        raise StackError(f"{found} does not run or does not tell its version: {advice}.")
    if version < OLDEST_JAVA:
        raise StackError(f"{found} is Java {version}, which is too old for Kafka: {advice} and put it first on the PATH.")
    return found


def java_version(shown: str) -> int | None:
    """The major version in what `java -version` prints; 8 and older call themselves 1.8."""
    found = re.search(r'version "(?:1\.)?(\d+)', shown)
    return int(found.group(1)) if found else None


def new_id() -> str:
    """A random id in Kafka's form: a UUID in URL-safe base64, not starting with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def node_settings(plan: Plan, node: int) -> dict[str, str]:
    """The settings that depend on the node or on the number of nodes."""
    client, controller = plan.address(node), f"127.0.0.1:{plan.controller_port(node)}"
    quorum = ",".join(f"127.0.0.1:{plan.controller_port(each)}" for each in plan.nodes)
    replicas = str(plan.brokers)
    in_sync = str(min(2, plan.brokers))
    return {
        "node.id": str(node),
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "controller.quorum.bootstrap.servers": quorum,
        # Relative to the broker's working directory, so that no path needs escaping.
        "log.dirs": "data",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def write_settings(state: Path, plan: Plan, name: str, node: int) -> None:
    """Write the broker's server.properties; done at every start, so that a changed setting is taken up."""
    lines = [f"{key}={value}" for key, value in node_settings(plan, node).items()]
    folder = own_folder(state, name)
    folder.mkdir(parents=True, exist_ok=True)
    common = (LOCAL / "kafka.properties").read_text()
    (folder / "server.properties").write_text(common + "\n" + "\n".join(lines) + "\n")


def format_storage(java: str, libs: Path, folders: Sequence[Path], plan: Plan, cluster_id: str) -> None:
    """Format the storage of all nodes in their folders, each of which holds its node's server.properties.

    The nodes of a quorum know each other by directory ids that are chosen here, so they are formatted
    all together or, after an interruption, all anew.
    """
    if plan.brokers == 1:
        quorum = ["--standalone"]
    else:
        voters = [f"{node}@127.0.0.1:{plan.controller_port(node)}:{new_id()}" for node in plan.nodes]
        quorum = ["--initial-controllers", ",".join(voters)]
    for folder in folders:
        command = [
            *(java, "-Xmx128m", "-XX:TieredStopAtLevel=1", logging_option(), "-cp", f"{libs}/*"),
            *("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", "server.properties", *quorum),
        ]
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"Kafka could not format its storage in {folder}:\n{done.stdout.strip()[-2000:]}")


def broker_command(java: str, libs: Path) -> list[str]:
    heap = ("-Xms256m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError")
    return [java, *heap, logging_option(), "-cp", f"{libs}/*", "kafka.Kafka", "server.properties"]


def logging_option() -> str:
    return f"-Dlog4j2.configurationFile={(LOCAL / 'log4j2.properties').as_uri()}"


def client_settings(bootstrap_servers: str) -> dict[str, str | int | float | bool]:
    # What a client has to say while its broker starts is expected; what is wrong in the end is in our own words.
    return {"bootstrap.servers": bootstrap_servers, "log_level": 0, "reconnect.backoff.max.ms": 500}


def sees(bootstrap_servers: str, cluster_id: str, brokers: int) -> bool:
    """Whether the cluster at these addresses answers, is the one of that id, and counts so many brokers as up."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        found = AdminClient(client_settings(bootstrap_servers)).list_topics(timeout=METADATA_SECONDS)
    except KafkaException:
        return False
    return str(found.cluster_id) == cluster_id and len(found.brokers) >= brokers


def coordinators_ready(bootstrap_servers: str) -> bool:
    """Whether groups and transactions can be used.

    Asking makes the brokers create their internal topics, so that the first real consumer does not wait for them.
    A consumer asks and not the AdminClient, whose `list_consumer_group_offsets` crashes the process if the
    coordinator is still loading (librdkafka issue 5040).
    """
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

    settings = client_settings(bootstrap_servers)
    consumer = Consumer({**settings, "group.id": READINESS})
    try:
        consumer.committed([TopicPartition("__consumer_offsets", 0)], timeout=ANSWER_SECONDS)
        Producer({**settings, "transactional.id": READINESS}).init_transactions(ANSWER_SECONDS)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True
