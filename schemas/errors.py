"""The root error and the few kinds of it that every room raises."""

from __future__ import annotations

from enum import Enum, auto

DONE = 0
FAILED = 1
USAGE = 2
UNKNOWN = 3
INTERRUPTED = 130


class Outlook(Enum):
    """Whether waiting mends a fault."""

    PASSES = auto()
    """A server that is away, starts, moves, or has no room: what cannot be done now can be done once it is well again."""
    LASTS = auto()
    """Only a person mends it: a right, a password, a setting."""
    UNKNOWN = auto()
    """Nobody has said which."""


class EventfoldError(Exception):
    """A fault with a sentence for the person who can mend it; `exit_code` is what the command line ends with."""

    exit_code = FAILED


class UsageError(EventfoldError):
    """The request itself is wrong: a name, an option, a setting."""

    exit_code = USAGE


class NotFoundError(EventfoldError):
    """What was asked for is not there."""


class TimedOutError(EventfoldError):
    """A condition was not met within its deadline; nothing is known about what happens later."""

    exit_code = UNKNOWN


def spoken(fault: BaseException) -> str:
    """A fault as log lines have it: its kind and its words. Some clients' `repr` has no words."""
    return f"{type(fault).__name__}: {fault}"


class Transient(EventfoldError):
    """What passes or can be mended by loading again: Kafka that does not answer, memory that is out of date."""


class NoAnswer(Transient):
    """A server does not answer, or cannot now, and is asked again."""


class UnavailableError(EventfoldError):
    """A service does not answer, or cannot now; asking again later may help."""


class ParkedError(EventfoldError):
    """What was asked for is put aside, in its order, until a person retries or discards it."""


class LogError(EventfoldError):
    """The log is not the one that was folded so far: cut short, made again, or it does not reach back to zero."""


class BeginningGoneError(LogError):
    """The log does not reach back to where it must: to zero, or to where a generation that is not of all of it begins."""


class OtherLogError(LogError):
    """The log is another one than was folded: its topic was deleted and made again, it was cut short, its events differ."""


class DecodeError(EventfoldError):
    """Bytes that are not a message of the catalog; once the record is known, the text begins with where it lies."""

    def __init__(self, reason: str, where: str = "", offset: int = -1) -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.offset = offset

    def at(self, topic: str, partition: int, offset: int, key: object) -> DecodeError:
        """The same error with the place of the record it was found in."""
        return DecodeError(self.reason, f"{topic}/{partition}@{offset} key {key!r}", offset)
