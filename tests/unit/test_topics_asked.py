"""Questions to Kafka's admin client, where the broker dies while it is asked."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ListOffsetsResultInfo

from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.schemas.errors import EventfoldError, Transient


class Dying:
    """Kafka's admin client, with what it answered when a broker was killed in the midst of it."""

    def list_offsets(self, request: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[ListOffsetsResultInfo]]:
        found = {}
        for place in request:
            found[place] = Future()
            found[place].set_result(ListOffsetsResultInfo(OFFSET_INVALID, -1, -1))
        return found

    def poll(self, timeout_s: float) -> None:
        pass


def test_an_end_that_is_not_known_is_asked_for_again_and_not_taken_for_a_log_that_was_cut_short() -> None:
    topics = Topics(KafkaSettings.from_environ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
    topics._admin = Dying()  # type: ignore[assignment]
    with pytest.raises(Transient, match="cannot read the ends of the log"):
        topics.ends([("flights.events", 0)], committed=False)
    assert not isinstance(topics._admin, Dying), "a client that asked of a leader that is gone is made anew"


class Refused(Dying):
    """Kafka's admin client, which nobody answers since it was not let in."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def poll(self, timeout_s: float) -> None:
        self._topics._hear(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
        self._topics._hear(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))


def test_a_client_that_is_not_let_in_says_so_and_is_not_asked_again() -> None:
    topics = Topics(KafkaSettings.from_environ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
    topics._admin = Refused(topics)  # type: ignore[assignment]
    with pytest.raises(EventfoldError, match=r"cannot read the ends.*wrong password: look at .*KAFKA_SASL_") as raised:
        topics.ends([("flights.events", 0)], committed=False)
    assert not isinstance(raised.value, Transient)


class Replaced:
    """Kafka's admin client, as another thread puts a new one in its place: it answers for as long as somebody holds it."""

    def __init__(self, replace: Callable[[], None]) -> None:
        self._replace = replace

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        there = weakref.ref(self)

        def answered() -> None:
            unknown = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
            answer.set_exception(unknown if there() else AssertionError("nobody holds the client that was asked"))

        self._replace()
        threading.Timer(0.1, answered).start()
        return {"flights.events": answer}


def test_a_client_that_another_thread_replaced_still_answers_who_asked_it() -> None:
    topics = Topics(KafkaSettings.from_environ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
    replace = lambda: setattr(topics, "_admin", Dying())  # noqa: E731
    topics._admin = Replaced(replace)  # type: ignore[assignment]
    assert topics.existing(["flights.events"]) == {}
