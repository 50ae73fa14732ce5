"""What Kafka's client says went wrong, whether waiting mends it, and what does: the one place that knows its codes."""

from __future__ import annotations

from enum import Enum, auto

from confluent_kafka import KafkaError, KafkaException

from eventfold.schemas.errors import Outlook

__all__ = ["SEE_DOCTOR", "KafkaException", "Kind", "kind_of", "no_leader", "no_topic", "outlook", "said", "timed_out", "told"]


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
    GROUP_UNKNOWN = auto()
    """There is no such consumer group."""
    GROUP_IN_USE = auto()
    """A consumer group that was to be deleted has members."""
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
    UNREADABLE = auto()
    """A record that cannot be read: its batch cannot be decompressed, is none, or is of a codec that the client lacks."""
    LASTS = auto()
    """What no waiting mends: a wrong password, a broker too old, a group that will not have this member."""
    PASSES = auto()
    """What Kafka gets over by itself: a broker that is away or slow; a group that a member left for want of a poll, as while
    its daemon waited for Redis for more than half an hour, and that it joins again with the next one."""
    UNKNOWN = auto()
    """Any other: whether it passes is not known."""


# _FATAL is what librdkafka says of a producer once it has learned in the background that it is fenced, and of a consumer whose
# group will never take it; it brings no record any more.
_CODES = {
    Kind.PARTITION_END: (KafkaError._PARTITION_EOF,),
    Kind.OFFSET_GONE: (KafkaError._AUTO_OFFSET_RESET,),
    Kind.TOPIC_MISSING: (KafkaError._UNKNOWN_TOPIC,),
    Kind.TOPIC_UNKNOWN: (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID),
    Kind.GROUP_UNKNOWN: (KafkaError.GROUP_ID_NOT_FOUND,),
    Kind.GROUP_IN_USE: (KafkaError.NON_EMPTY_GROUP,),
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
    Kind.UNREADABLE: (
        KafkaError.INVALID_MSG,
        KafkaError._BAD_COMPRESSION,
        KafkaError._BAD_MSG,
        KafkaError._NOT_IMPLEMENTED,
    ),
    Kind.LASTS: (
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
    ),
    Kind.PASSES: (
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
    ),
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes}
_LASTING = (Kind.ENDED, Kind.TOPIC_DENIED, Kind.DENIED, Kind.GROUP_UNKNOWN, Kind.LASTS)
_OTHER_PROTOCOL = (
    "its members speak another group protocol than this one: give every daemon the same EVENTFOLD_GROUP_PROTOCOL and restart "
    "those that have the other (a broker mixes the two only with group.consumer.migration.policy=bidirectional), and let no "
    "other program use the name of the group"
)
_TOO_OLD = "the broker is too old for this: use one of 4.0 or newer, or EVENTFOLD_GROUP_PROTOCOL=classic"
_SAME_NAME = "another member has the same group.instance.id: give each its own KAFKA_GROUP_INSTANCE_ID, or none"
_CREDENTIALS = "look at KAFKA_SECURITY_PROTOCOL and the KAFKA_SASL_ settings"
# In the order in which they are looked for in the words of a fatal error, which has no code but that.
_WAYS_ON = {
    KafkaError.GROUP_ID_NOT_FOUND: _OTHER_PROTOCOL,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: _OTHER_PROTOCOL,
    KafkaError.UNSUPPORTED_VERSION: _TOO_OLD,
    KafkaError._UNSUPPORTED_FEATURE: _TOO_OLD,
    KafkaError.UNSUPPORTED_ASSIGNOR: "the broker has no such group.remote.assignor: unset KAFKA_GROUP_REMOTE_ASSIGNOR",
    KafkaError.GROUP_MAX_SIZE_REACHED: "run fewer daemons, or raise the broker's group.consumer.max.size or group.max.size",
    KafkaError.INVALID_SESSION_TIMEOUT: "lower the broker's group.min.session.timeout.ms to 6000",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: "raise the broker's transaction.max.timeout.ms to 10000",
    KafkaError.INVALID_GROUP_ID: "look at EVENTFOLD_TOPIC_PREFIX, with which the group's name begins",
    KafkaError.TOPIC_EXCEPTION: "look at EVENTFOLD_TOPIC_PREFIX, with which the topic's name begins",
    KafkaError.FENCED_INSTANCE_ID: _SAME_NAME,
    KafkaError.UNRELEASED_INSTANCE_ID: _SAME_NAME,
    KafkaError.GROUP_AUTHORIZATION_FAILED: "allow this user Read and Describe on its groups",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "allow this user Read, Write and Describe on its topics",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "allow this user Write and Describe on its transactional ids",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "allow this user IdempotentWrite on the cluster, or Write on its topics",
    KafkaError.SASL_AUTHENTICATION_FAILED: _CREDENTIALS,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: _CREDENTIALS,
    KafkaError.ILLEGAL_SASL_STATE: _CREDENTIALS,
    KafkaError._AUTHENTICATION: _CREDENTIALS,
}


def kind_of(fault: KafkaError | KafkaException) -> Kind:
    """What an error, or an exception made of one, means.

    Its code alone tells: of an error that comes in place of a record the client never says whether it is fatal or retriable.
    """
    return _KINDS.get(_error(fault).code(), Kind.UNKNOWN)


def outlook(fault: KafkaError | KafkaException) -> Outlook:
    """Whether it passes. What a topic or a record is to blame for is unknown here: who reads or writes it says more."""
    kind = kind_of(fault)
    if kind in _LASTING:
        return Outlook.LASTS
    return Outlook.PASSES if kind is Kind.PASSES else Outlook.UNKNOWN


def told(fault: KafkaError | KafkaException) -> str:
    """What Kafka says, for a person, and what to do about it where that is known."""
    words, code = said(fault), _error(fault).code()
    if code == KafkaError._FATAL:
        # Its own code is that of all fatal errors.
        code = next((known for known in _WAYS_ON if KafkaError(known).str() in words), code)
        words = KafkaError(code).str() if code in _WAYS_ON else words
    return f"{words}: {_WAYS_ON[code]}" if code in _WAYS_ON else words


def said(fault: KafkaError | KafkaException) -> str:
    """The words of Kafka, or of its client, for a person."""
    return _error(fault).str()


def no_topic(name: object) -> str:
    """The sentence about a topic that does not exist."""
    return f"the topic {name!r} does not exist: make it with `eventfold topics create`"


SEE_DOCTOR = "start again, and if it lasts, `eventfold doctor` says what to do"
"""Of a log that lacks an offset: whoever finds it out cannot know why."""


def timed_out() -> KafkaException:
    """What stands for an answer that never came."""
    return KafkaException(KafkaError(KafkaError._TIMED_OUT))


def no_leader() -> KafkaException:
    """What stands for a partition of which nobody could be asked, where Kafka's client says so in another way."""
    return KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))


def _error(fault: KafkaError | KafkaException) -> KafkaError:
    error: KafkaError = fault.args[0] if isinstance(fault, KafkaException) else fault
    return error
