"""Where Kafka is and how to speak to it, read once from the environment."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventfold.schemas.errors import UsageError

_PREFIX = "KAFKA_"
LIBRDKAFKA = "librdkafka"
# What Kafka's own start scripts and images read from the environment; not librdkafka's.
_NOT_OURS = {
    "CFG_FILE", "CLUSTERS", "DEBUG", "GC_LOG_OPTS", "HEAP_OPTS", "HOME", "JMX_OPTS", "JMX_PORT",
    "JVM_PERFORMANCE_OPTS", "LOG4J_OPTS", "LOG_DIR", "MODE", "OPTS", "PORT", "VERSION",
}  # fmt: skip
# What Kubernetes puts into each container for a Service whose name begins with `kafka`: of one that is called `kafka-ui`,
# KAFKA_UI_SERVICE_HOST, KAFKA_UI_SERVICE_PORT_HTTP, KAFKA_UI_PORT=tcp://10.0.0.1:80, KAFKA_UI_PORT_80_TCP_ADDR and the like.
_SERVICE_LINK = re.compile(r"(?:^|_)(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Connection and names.

    bootstrap: `KAFKA_BOOTSTRAP_SERVERS`, by default 127.0.0.1:9092.
    prefix: `EVENTFOLD_TOPIC_PREFIX`, put before every topic, group and transactional id.
    properties: any other `KAFKA_<PROPERTY>`, for librdkafka as `<property>` with dots; not what Kubernetes says of Services.

    UsageError for servers with a password, which every error would show.
    """

    bootstrap: str = "127.0.0.1:9092"
    prefix: str = ""
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> KafkaSettings:
        properties = {
            name[len(_PREFIX) :].lower().replace("_", "."): value
            for name, value in environ.items()
            if name.startswith(_PREFIX) and not _foreign(name[len(_PREFIX) :], value)
        }
        bootstrap = properties.pop("bootstrap.servers", "") or "127.0.0.1:9092"
        if "@" in bootstrap:
            raise UsageError(
                "KAFKA_BOOTSTRAP_SERVERS: servers have no user and no password: set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        return cls(bootstrap=bootstrap, prefix=environ.get("EVENTFOLD_TOPIC_PREFIX", ""), properties=properties)

    def client(self, **more: Any) -> dict[str, Any]:
        """librdkafka's configuration of any client."""
        logger = logging.getLogger(LIBRDKAFKA)
        return {"bootstrap.servers": self.bootstrap, "logger": logger, **self.properties, **more}

    def consumer(self, group: str, **more: Any) -> dict[str, Any]:
        """librdkafka's configuration of a reader of committed records, which is told where to begin and tells of ends."""
        return self.client(
            **{
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                # Once as much waits as may be fetched ahead, librdkafka would fetch no more for a second, and a fast
                # fold would run dry.
                "fetch.queue.backoff.ms": 10,
                **more,
            }
        )

    def producer(self, **more: Any) -> dict[str, Any]:
        """librdkafka's configuration of an idempotent producer that partitions as Java's producers do.

        These three are not to be changed from outside; the compression is.
        """
        return self.client(
            **{
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "compression.type": self.properties.get("compression.type", "zstd"),
                **more,
            }
        )


def variable_of(property_: str) -> str:
    """The variable that sets a property of librdkafka."""
    return _PREFIX + property_.upper().replace(".", "_")


def _foreign(name: str, value: str) -> bool:
    return name in _NOT_OURS or _SERVICE_LINK.search(name) is not None or (name.endswith("PORT") and "://" in value)
