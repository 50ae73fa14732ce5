"""The ends of partitions, where the broker dies while it is asked for them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, TopicPartition
from confluent_kafka.admin import ListOffsetsResultInfo

from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.schemas.errors import Transient


class Dying:
    """Kafka's admin client, with what it answered when a broker was killed in the midst of it."""

    def list_offsets(self, request: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[ListOffsetsResultInfo]]:
        found = {}
        for place in request:
            found[place] = Future()
            found[place].set_result(ListOffsetsResultInfo(OFFSET_INVALID, -1, -1))
        return found


def test_an_end_that_is_not_known_is_asked_for_again_and_not_taken_for_a_log_that_was_cut_short() -> None:
    topics = Topics(KafkaSettings.from_environ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
    topics._admin = Dying()  # type: ignore[assignment]
    with pytest.raises(Transient, match="cannot read the ends of the log"):
        topics.ends([("flights.events", 0)], committed=False)
    assert not isinstance(topics._admin, Dying), "a client that asked of a leader that is gone is made anew"
