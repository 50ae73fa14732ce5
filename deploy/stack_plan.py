"""What a local stack consists of: its size, ports, names and folders. Starts nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

CONTROLLER_OFFSET = 10
REGISTRY_API = "/apis/ccompat/v7"


class StackError(Exception):
    """What keeps the stack from doing what it was asked, in words that say what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size and ports of one stack; broker n serves clients on `kafka_port + n - 1`, its controller ten higher.

    registry: whether a schema registry belongs to it.
    """

    brokers: int = 1
    kafka_port: int = 9092
    redis_port: int = 6379
    registry: bool = False
    registry_port: int = 8081

    def __post_init__(self) -> None:
        if self.brokers not in (1, 3):
            raise StackError(f"A stack has 1 or 3 brokers, not {self.brokers}.")
        ports = [port for name in self.names for port in self.ports(name)]
        if min(ports) < 1 or max(ports) > 65535:
            raise StackError(
                f"Ports lie between 1 and 65535, and Kafka's controllers listen {CONTROLLER_OFFSET} above its brokers: "
                f"Kafka port {self.kafka_port}, Redis port {self.redis_port}{self._and_registry} do not fit."
            )
        if len(set(ports)) < len(ports):
            raise StackError(
                f"Two would listen on one port: Kafka port {self.kafka_port} (brokers from there, controllers from "
                f"{self.kafka_port + CONTROLLER_OFFSET}), Redis port {self.redis_port}{self._and_registry}."
            )

    @property
    def nodes(self) -> range:
        """The brokers' node ids."""
        return range(1, self.brokers + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stack's processes, in the order in which they are started."""
        return ("redis", *(broker_name(node) for node in self.nodes), *(("registry",) if self.registry else ()))

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(self.address(node) for node in self.nodes)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def registry_url(self) -> str | None:
        return f"http://127.0.0.1:{self.registry_port}{REGISTRY_API}" if self.registry else None

    def address(self, node: int) -> str:
        """Where the broker serves clients."""
        return f"127.0.0.1:{self.client_port(node)}"

    def client_port(self, node: int) -> int:
        return self.kafka_port + node - 1

    def controller_port(self, node: int) -> int:
        return self.client_port(node) + CONTROLLER_OFFSET

    def ports(self, name: str) -> tuple[int, ...]:
        """The ports on which the process of that name listens."""
        if name == "redis":
            return (self.redis_port,)
        if name == "registry":
            return (self.registry_port,)
        node = node_of(name)
        return self.client_port(node), self.controller_port(node)

    def adds_a_registry_to(self, other: Plan) -> bool:
        """Whether a stack of the other plan can become one of this while it runs."""
        return not other.registry and replace(self, registry=False, registry_port=other.registry_port) == other

    @property
    def _and_registry(self) -> str:
        return f", registry port {self.registry_port}" if self.registry else ""

    def __str__(self) -> str:
        brokers = "1 broker" if self.brokers == 1 else f"{self.brokers} brokers"
        return f"{brokers}, Kafka port {self.kafka_port}, Redis port {self.redis_port}{self._and_registry}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller asked for; None is 'as it is, or else the default'."""

    brokers: int | None = None
    kafka_port: int | None = None
    redis_port: int | None = None
    registry: bool | None = None
    registry_port: int | None = None

    def over(self, plan: Plan) -> Plan:
        """The plan with what the caller asked for in its place."""
        return Plan(
            brokers=plan.brokers if self.brokers is None else self.brokers,
            kafka_port=plan.kafka_port if self.kafka_port is None else self.kafka_port,
            redis_port=plan.redis_port if self.redis_port is None else self.redis_port,
            registry=plan.registry if self.registry is None else self.registry,
            registry_port=plan.registry_port if self.registry_port is None else self.registry_port,
        )


def broker_name(node: int) -> str:
    return f"kafka-{node}"


def node_of(name: str) -> int:
    return int(name.removeprefix("kafka-"))


def own_folder(state: Path, name: str) -> Path:
    """The folder a process keeps its data in, which is also its working directory."""
    return state / name


def log_file(state: Path, name: str) -> Path:
    return state / "logs" / f"{name}.log"
