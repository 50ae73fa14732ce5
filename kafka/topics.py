"""Topics and their ends, as Kafka's admin API tells them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from eventfold.kafka.clients import made
from eventfold.kafka.errors import Kind, kind_of, no_leader, no_topic, outlook, timed_out, told
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.errors import EventfoldError, NoAnswer, NotFoundError, Outlook, Transient
from eventfold.schemas.record import Place

_TIMEOUT_S = 15
# What the client says in lines of its own is in the sentence of the error.
_UNHEARD = logging.Logger("unheard", logging.CRITICAL + 1)
_LEADERS_S = 0.1
_SETTLED_S = 60
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicInfo:
    """A topic as it is: `id` is another one when a topic was deleted and made again."""

    name: str
    id: str
    partitions: int
    replication: int


class Topics:
    """Creates, describes and measures topics; several threads may ask. timeout_s: for how long a broker may owe an answer.

    A client whose answers are waited for is held by a name of its own: another thread may put a new one in its place, and
    what a client that is gone was asked is never answered.
    """

    def __init__(self, settings: KafkaSettings, timeout_s: float = _TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._heard: KafkaError | None = None
        self._admin = self._new_client()

    def describe(self, names: Sequence[str]) -> dict[str, TopicInfo]:
        """Each topic; NotFoundError names the first that does not exist."""
        found = self.existing(names)
        for name in names:
            if name not in found:
                raise NotFoundError(f"{no_topic(name)}, unless it is another's")
        return found

    def existing(self, names: Sequence[str]) -> dict[str, TopicInfo]:
        """Those of the topics that exist."""
        if not names:
            return {}
        admin = self._admin
        futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_s)
        found = {}
        for name, future in futures.items():
            try:
                topic = _result(future)
            except KafkaException as error:
                if kind_of(error) is Kind.TOPIC_UNKNOWN:
                    continue
                raise self._cannot(f"describe the topic {name!r}", error) from error
            partitions = topic.partitions
            found[name] = TopicInfo(
                name=name, id=str(topic.topic_id), partitions=len(partitions), replication=len(partitions[0].replicas)
            )
        return found

    def names(self) -> list[str]:
        """All topics, without those that Kafka keeps for itself; Transient when no broker answers."""
        return [name for name in self._metadata().topics if not name.startswith("__")]

    def create(self, wanted: Mapping[str, Mapping[str, str]], partitions: int, replication: int | None = None) -> list[str]:
        """Create those that do not exist, and return once they can be read; their names. Existing ones are left as they are.

        replication: copies of each; by default 3, or 1 where there are fewer brokers. Of three, two must have a record.
        """
        there = self.existing(list(wanted))
        copies = replication or (3 if self.brokers() >= 3 else 1)
        safe = {"min.insync.replicas": "2"} if copies >= 3 else {}
        new = [
            NewTopic(name, num_partitions=partitions, replication_factor=copies, config={**config, **safe})
            for name, config in wanted.items()
            if name not in there
        ]
        made, admin = [], self._admin
        for name, future in (admin.create_topics(new, operation_timeout=_TIMEOUT_S) if new else {}).items():
            try:
                _result(future)
                made.append(name)
            except KafkaException as error:
                if kind_of(error) is not Kind.TOPIC_EXISTS:
                    raise self._cannot(f"create the topic {name!r}", error) from error
        self._await_leaders([(name, partition) for name in made for partition in range(partitions)])
        return made

    def _await_leaders(self, places: Sequence[Place]) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                self.ends(places, committed=False)
                return
            except Transient:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LEADERS_S)

    def config(self, name: str) -> dict[str, str]:
        """A topic's settings by name."""
        return self._configs([name], passed=())[name]

    def configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """The settings of those of the topics that exist; none of one that this user may not look at."""
        return self._configs(names, passed=(Kind.TOPIC_UNKNOWN, Kind.TOPIC_DENIED, Kind.DENIED)) if names else {}

    def _configs(self, names: Sequence[str], passed: Collection[Kind]) -> dict[str, dict[str, str]]:
        admin, found = self._admin, dict[str, dict[str, str]]()
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        for resource, future in admin.describe_configs(resources, request_timeout=self._timeout_s).items():
            try:
                found[resource.name] = {key: entry.value for key, entry in _result(future).items()}
            except KafkaException as error:
                kind = kind_of(error)
                if kind not in passed:
                    raise self._cannot(f"read the settings of {resource.name!r}", error) from error
                if kind is not Kind.TOPIC_UNKNOWN:
                    found[resource.name] = {}
        return found

    def configure(self, name: str, setting: str, value: str) -> None:
        """Change one setting of a topic."""
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        try:
            admin = self._admin
            _result(admin.incremental_alter_configs([resource])[resource])
        except KafkaException as error:
            raise self._cannot(f"set {setting} of {name!r}", error) from error

    def ends(self, places: Iterable[Place], *, committed: bool) -> dict[Place, int]:
        """The end of each partition: the last stable offset (`committed`), or the high watermark."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(places, OffsetSpec.latest(), level)

    def settled(self, places: Collection[Place], what: str, stop: threading.Event) -> dict[Place, int]:
        """The high watermarks as they are now, once all that was written before is committed or aborted.

        what: the records there, as errors call them. Transient when `stop` is set meanwhile; NoAnswer when a
        transaction stays open for a minute.
        """
        ends, deadline = self.ends(places, committed=False), time.monotonic() + _SETTLED_S
        while open_ := [p for p, end in self.ends(places, committed=True).items() if end < ends[p]]:
            if stop.wait(_PAUSE_S):
                raise Transient(f"told to stop while a transaction is open among {what}")
            if time.monotonic() > deadline:
                raise NoAnswer(f"{what} do not come to their end at {sorted(open_)}: is a transaction stuck?")
        return ends

    def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """The first offset that each partition still has."""
        return self._offsets(places, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)

    def at(self, places: Iterable[Place], ms: int, ends: Mapping[Place, int]) -> dict[Place, int]:
        """The first offset of each partition that was recorded at this time or later; where there is none, its end."""
        found = self._offsets(places, OffsetSpec.for_timestamp(ms), IsolationLevel.READ_COMMITTED)
        return {place: offset if offset >= 0 else ends[place] for place, offset in found.items()}

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec, level: IsolationLevel) -> dict[Place, int]:
        request = {TopicPartition(topic, partition): spec for topic, partition in places}
        if not request:
            return {}
        admin = self._admin
        futures = admin.list_offsets(request, isolation_level=level, request_timeout=self._timeout_s)
        try:
            found = {(tp.topic, tp.partition): _result(future).offset for tp, future in futures.items()}
        except KafkaException as error:
            raise self._cannot("read the ends of the log", error) from error
        # A partition whose broker died while it was asked has this offset, and no error.
        if OFFSET_INVALID in found.values():
            raise self._cannot("read the ends of the log", no_leader())
        return found

    def brokers(self) -> int:
        """How many brokers answer; Transient when none does."""
        return len(self._metadata().brokers)

    def _metadata(self) -> ClusterMetadata:
        try:
            return self._admin.list_topics(timeout=10)
        except KafkaException as error:
            raise self._cannot("reach the cluster", error) from error

    def _cannot(self, what: str, error: KafkaException) -> EventfoldError:
        """NoAnswer, unless the error lasts."""
        # The exception of a question that was not answered does not tell why there is no connection.
        self._admin.poll(0)
        heard, self._heard = self._heard, None
        lasts = Outlook.LASTS in (outlook(error), heard and outlook(heard))
        # A client that asked with a leader's old epoch, after a broker's restart, would ask so for ever.
        self._admin = self._new_client()
        cause = f" ({told(heard)})" if heard is not None and kind_of(error) is Kind.PASSES else ""
        return (EventfoldError if lasts else NoAnswer)(
            f"Kafka at {self._settings.bootstrap}: cannot {what}: {told(error)}{cause}"
        )

    def _new_client(self) -> AdminClient:
        return made(AdminClient, self._settings, self._settings.client(error_cb=self._hear, logger=_UNHEARD))

    def _hear(self, error: KafkaError) -> None:
        """What the client says of its connections; that all are gone says less than the error before it."""
        if self._heard is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._heard = error


def _result(future: Future[Any]) -> Any:
    try:
        return future.result(timeout=_TIMEOUT_S + 5)
    except TimeoutError as error:
        raise timed_out() from error
