"""How far a domain's handler has come with commands that nobody waits for one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from producers.settings import KafkaSettings
from schemas.envelope import header
from schemas.errors import LogfoldError, TimedOutError
from schemas.names import Names

_POLL_S = 0.2
_KAFKA_S = 15


class Decisions:
    """Reads, without joining it, the offsets of a handler's group, and the refusals it wrote."""

    def __init__(self, settings: KafkaSettings, names: Names, domain: str) -> None:
        self._settings = settings
        self._group = names.handler_group(domain)
        self._commands = names.commands(domain)
        self._refusals = names.refusals(domain)

    def wait(self, ends: Mapping[int, int], timeout_s: float) -> Iterator[int]:
        """Yield how many commands before `ends` (by partition) are left, until none is.

        TimedOutError when the group makes no progress for `timeout_s`.
        """
        consumer = self._consumer(self._group)
        try:
            least, left, moved = None, sum(ends.values()), time.monotonic()
            while True:
                try:
                    left = self._left(consumer, ends)
                except KafkaException as error:
                    # A coordinator that moves; whether it comes back, the time without progress decides.
                    fault = error.args[0].str()
                else:
                    fault = "does the handler run? (logfold status)"
                    yield left
                    if left == 0:
                        return
                if least is None or left < least:
                    least, moved = left, time.monotonic()
                elif time.monotonic() - moved > timeout_s:
                    raise TimedOutError(f"{left} commands are not decided and nothing moves for {timeout_s:g} s: {fault}")
                time.sleep(_POLL_S)
        finally:
            consumer.close()

    def refusals_end(self) -> dict[int, int]:
        """The end of each partition of the refusals."""
        consumer = self._consumer(self._group)
        try:
            topic = consumer.list_topics(self._refusals, timeout=_KAFKA_S).topics[self._refusals]
            if topic.error is not None:
                raise LogfoldError(f"{self._refusals}: {topic.error.str()}: make it with `logfold topics create`")
            parts = [TopicPartition(self._refusals, p) for p in topic.partitions]
            return {tp.partition: consumer.get_watermark_offsets(tp, timeout=_KAFKA_S)[1] for tp in parts}
        finally:
            consumer.close()

    def refusals_since(self, before: Mapping[int, int], correlation_id: str) -> int:
        """How many refusals of one conversation were written since."""
        consumer = self._consumer(self._group)
        try:
            consumer.assign([TopicPartition(self._refusals, p, offset) for p, offset in before.items()])
            open_partitions, found = set(before), 0
            while open_partitions:
                message = consumer.poll(_KAFKA_S)
                if message is None:
                    raise TimedOutError(f"{self._refusals} cannot be read to its end")
                error = message.error()
                if error is None:
                    found += header(message.headers(), "ce_correlationid") == correlation_id.encode()
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise LogfoldError(f"{self._refusals}: {error.str()}")
            return found
        finally:
            consumer.close()

    def _left(self, consumer: Consumer, ends: Mapping[int, int]) -> int:
        places = [TopicPartition(self._commands, p) for p in ends]
        committed = {tp.partition: tp.offset for tp in consumer.committed(places, timeout=_KAFKA_S)}
        return sum(max(0, end - max(0, committed[p])) for p, end in ends.items())

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            self._settings.client(
                **{
                    "group.id": group,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                }
            )
        )
