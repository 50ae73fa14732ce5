"""What Kafka's client says went wrong, and what it means: the one place that knows the codes of its errors."""

from __future__ import annotations

from enum import Enum, auto

from confluent_kafka import KafkaError, KafkaException

__all__ = ["KafkaException", "Kind", "kind_of", "no_leader", "no_topic", "said", "timed_out"]


class Kind(Enum):
    """What an error means; what to do about it is for those who read or write to say."""

    PARTITION_END = auto()
    """No error: a reader has come to the end of a partition."""
    OFFSET_GONE = auto()
    """The log does not have the offset to read from."""
    TOPIC_MISSING = auto()
    """librdkafka has looked for a topic and given up."""
    TOPIC_UNKNOWN = auto()
    """A broker does not know a topic: it does not exist, or, amid a change of leaders, not there yet."""
    TOPIC_EXISTS = auto()
    """A topic that was to be made is there."""
    ENDED = auto()
    """The client is of no use any more: another one took its name, or librdkafka gave it up."""
    TOPIC_DENIED = auto()
    """The client has no right to a topic."""
    DENIED = auto()
    """The client has no right to something else: the cluster, its group, its transactional id."""
    TOO_LARGE = auto()
    """A record is larger than its topic allows."""
    INVALID = auto()
    """Records that will not be taken as they are, for another reason."""
    LASTS = auto()
    """What no waiting mends: a wrong password, a broker too old, a place in the group that was lost for good."""
    PASSES = auto()
    """What Kafka gets over by itself: a broker that is away or slow."""
    UNKNOWN = auto()
    """Any other: whether it passes is not known."""


# _FATAL is what librdkafka says of a producer once it has learned in the background that it is fenced, and of a consumer whose
# group will never take it; it brings no record any more.
_CODES = {
    Kind.PARTITION_END: (KafkaError._PARTITION_EOF,),
    Kind.OFFSET_GONE: (KafkaError._AUTO_OFFSET_RESET,),
    Kind.TOPIC_MISSING: (KafkaError._UNKNOWN_TOPIC,),
    Kind.TOPIC_UNKNOWN: (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID),
    Kind.TOPIC_EXISTS: (KafkaError.TOPIC_ALREADY_EXISTS,),
    Kind.ENDED: (KafkaError._FATAL, KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED),
    Kind.TOPIC_DENIED: (KafkaError.TOPIC_AUTHORIZATION_FAILED,),
    Kind.DENIED: (
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    Kind.TOO_LARGE: (KafkaError.MSG_SIZE_TOO_LARGE,),
    Kind.INVALID: (
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError._UNKNOWN_PARTITION,
    ),
    Kind.LASTS: (
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._AUTHENTICATION,
        KafkaError._MAX_POLL_EXCEEDED,
    ),
    Kind.PASSES: (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT, KafkaError._TRANSPORT),
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes}


def kind_of(fault: KafkaError | KafkaException) -> Kind:
    """What an error, or an exception made of one, means.

    Its code alone tells: of an error that comes in place of a record the client never says whether it is fatal or retriable.
    """
    return _KINDS.get(_error(fault).code(), Kind.UNKNOWN)


def said(fault: KafkaError | KafkaException) -> str:
    """The words of Kafka, or of its client, for a person."""
    return _error(fault).str()


def no_topic(name: object) -> str:
    """The sentence about a topic that does not exist."""
    return f"the topic {name!r} does not exist: make it with `eventfold topics create`"


def timed_out() -> KafkaException:
    """What stands for an answer that never came."""
    return KafkaException(KafkaError(KafkaError._TIMED_OUT))


def no_leader() -> KafkaException:
    """What stands for a partition of which nobody could be asked, where Kafka's client says so in another way."""
    return KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))


def _error(fault: KafkaError | KafkaException) -> KafkaError:
    error: KafkaError = fault.args[0] if isinstance(fault, KafkaException) else fault
    return error
