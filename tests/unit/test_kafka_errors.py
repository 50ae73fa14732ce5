"""What each error of Kafka's client means, and what a consumer, a reader and the producers make of it."""

from __future__ import annotations

from functools import partial

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from eventfold.kafka.batches import Trouble, by_partition, check_passes
from eventfold.kafka.errors import SEE_DOCTOR, Kind, kind_of, outlook, said, told
from eventfold.kafka.publisher import NotSentError, PublishError, not_taken
from eventfold.kafka.range_reader import _Passing
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.transactions import Fenced, Rejected, Transactions
from eventfold.schemas.errors import EventfoldError, LogError, NotFoundError, Outlook

KINDS = {
    Kind.PARTITION_END: {KafkaError._PARTITION_EOF},
    Kind.OFFSET_GONE: {KafkaError._AUTO_OFFSET_RESET},
    Kind.TOPIC_MISSING: {KafkaError._UNKNOWN_TOPIC},
    Kind.TOPIC_UNKNOWN: {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID},
    Kind.GROUP_UNKNOWN: {KafkaError.GROUP_ID_NOT_FOUND},
    Kind.GROUP_IN_USE: {KafkaError.NON_EMPTY_GROUP},
    Kind.TOPIC_EXISTS: {KafkaError.TOPIC_ALREADY_EXISTS},
    Kind.ENDED: {KafkaError._FATAL, KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH},
    Kind.TOPIC_DENIED: {KafkaError.TOPIC_AUTHORIZATION_FAILED},
    Kind.DENIED: {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    },
    Kind.TOO_LARGE: {KafkaError.MSG_SIZE_TOO_LARGE},
    Kind.INVALID: {
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError._UNKNOWN_PARTITION,
    },
    Kind.UNREADABLE: {
        KafkaError.INVALID_MSG,
        KafkaError._BAD_COMPRESSION,
        KafkaError._BAD_MSG,
        KafkaError._NOT_IMPLEMENTED,
    },
    Kind.LASTS: {
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.GROUP_MAX_SIZE_REACHED,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.SECURITY_DISABLED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNRELEASED_INSTANCE_ID,
        KafkaError.UNSUPPORTED_ASSIGNOR,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._AUTHENTICATION,
        KafkaError._UNSUPPORTED_FEATURE,
    },
    Kind.PASSES: {
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
    },
}
CODES = {name: code for name in dir(KafkaError) if isinstance(code := getattr(KafkaError, name), int)}


def test_each_code_is_of_its_kind_and_every_other_one_is_unknown() -> None:
    kinds = {code: kind for kind, codes in KINDS.items() for code in codes}
    wanted = {name: kinds.get(code, Kind.UNKNOWN) for name, code in CODES.items()}
    assert {name: kind_of(KafkaError(code)) for name, code in CODES.items()} == wanted
    assert {name: kind_of(KafkaException(KafkaError(code))) for name, code in CODES.items()} == wanted


GOES_ON = type(None)
# What comes of an error: in a daemon's consumer, where somebody waits for what is read, in a producer, in a transaction.
MADE = {
    Kind.OFFSET_GONE: (LogError, LogError, PublishError, KafkaException),
    Kind.TOPIC_MISSING: (LogError, NotFoundError, NotFoundError, Rejected),
    Kind.TOPIC_UNKNOWN: (LogError, NotFoundError, NotFoundError, KafkaException),
    Kind.GROUP_UNKNOWN: (EventfoldError, EventfoldError, PublishError, KafkaException),
    Kind.GROUP_IN_USE: (GOES_ON, EventfoldError, PublishError, KafkaException),
    Kind.TOPIC_EXISTS: (GOES_ON, EventfoldError, PublishError, KafkaException),
    Kind.ENDED: (EventfoldError, EventfoldError, PublishError, Fenced),
    Kind.TOPIC_DENIED: (EventfoldError, EventfoldError, NotSentError, Rejected),
    Kind.DENIED: (EventfoldError, EventfoldError, NotSentError, Rejected),
    Kind.TOO_LARGE: (GOES_ON, EventfoldError, NotSentError, Rejected),
    Kind.INVALID: (GOES_ON, EventfoldError, PublishError, Rejected),
    Kind.UNREADABLE: (GOES_ON, EventfoldError, PublishError, KafkaException),
    Kind.LASTS: (EventfoldError, EventfoldError, PublishError, KafkaException),
    Kind.PASSES: (GOES_ON, GOES_ON, PublishError, KafkaException),
    Kind.UNKNOWN: (GOES_ON, EventfoldError, PublishError, KafkaException),
}


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.name)
def test_what_is_made_of_an_error(kind: Kind) -> None:
    for code in KINDS.get(kind, {KafkaError.UNKNOWN}):
        error = KafkaError(code)
        faults = (
            read(partial(check_passes, "group"), error),
            read(_Passing(), error),
            not_taken(error),
            Transactions(KafkaSettings(), "id")._fault(KafkaException(error)),
        )
        assert tuple(map(type, faults)) == MADE[kind], error.name()
        assert all(said(error) in str(fault) for fault in faults if type(fault) in (EventfoldError, PublishError, Rejected))


LASTS = (Kind.ENDED, Kind.TOPIC_DENIED, Kind.DENIED, Kind.GROUP_UNKNOWN, Kind.LASTS)


def test_whether_it_passes() -> None:
    for kind in Kind:
        expected = Outlook.LASTS if kind in LASTS else Outlook.PASSES if kind is Kind.PASSES else Outlook.UNKNOWN
        for code in KINDS.get(kind, {KafkaError.UNKNOWN}):
            assert outlook(KafkaError(code)) is outlook(KafkaException(KafkaError(code))) is expected, KafkaError(code).name()


@pytest.mark.parametrize(
    ("code", "way"),
    [
        (KafkaError.GROUP_ID_NOT_FOUND, "the same EVENTFOLD_GROUP_PROTOCOL"),
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, "the same EVENTFOLD_GROUP_PROTOCOL"),
        (KafkaError.UNSUPPORTED_VERSION, "EVENTFOLD_GROUP_PROTOCOL=classic"),
        (KafkaError.UNRELEASED_INSTANCE_ID, "KAFKA_GROUP_INSTANCE_ID"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "Read and Describe on its groups"),
        (KafkaError.GROUP_MAX_SIZE_REACHED, "group.max.size"),
    ],
)
def test_what_lasts_says_what_to_do_also_as_a_fatal_error_of_the_client(code: int, way: str) -> None:
    words = KafkaError(code).str()
    fatal = KafkaError(KafkaError._FATAL, f"Fatal error: {words}: ConsumerGroupHeartbeat fatal error: {words}")
    for error in (KafkaError(code), fatal):
        text = told(error)
        assert text.startswith(f"{words}: ") and way in text and text.count(words) == 1
    assert told(KafkaError(KafkaError._TRANSPORT, "broker 1 is down")) == "broker 1 is down"


def read(trouble: Trouble, error: KafkaError) -> Exception | None:
    """What a reader raises at an error in place of a record."""
    try:
        batch = by_partition([Message(topic="t", partition=0, error=error)], {("t", 0)}, trouble)
    except EventfoldError as fault:
        return fault
    assert not batch.records and not batch.ends
    return None


def test_the_end_of_a_partition_is_no_error() -> None:
    def trouble(*_: object) -> None:
        raise AssertionError

    ends = [Message(topic="t", partition=p, offset=9, error=KafkaError(KafkaError._PARTITION_EOF)) for p in (0, 1)]
    records = [Message(topic="t", partition=p, offset=offset) for p in (0, 1) for offset in (7, 8)]
    batch = by_partition([*records, *ends], {("t", 1)}, trouble)
    assert batch.records == {("t", 1): records[2:]}
    assert batch.ends == {("t", 1): 9}


def test_what_passes_is_remembered_for_the_sentence_of_who_waits_in_vain() -> None:
    passing = _Passing()
    passing(Message(topic="t", partition=0), KafkaError(KafkaError._TRANSPORT, "broker 1 is down"))
    assert passing.said == ": broker 1 is down"


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (
            partial(check_passes, "group"),
            "t/3: the log no longer has the offset to go on from (gone): it was cut short, or made anew",
        ),
        (_Passing(), "t/3: the log does not have the offset to read from (gone): it was cut short, or made anew"),
    ],
)
def test_a_log_that_was_cut_short_is_named(trouble: Trouble, says: str) -> None:
    with pytest.raises(LogError) as raised:
        trouble(Message(topic="t", partition=3), KafkaError(KafkaError._AUTO_OFFSET_RESET, "gone"))
    assert str(raised.value) == f"{says}; {SEE_DOCTOR}"
