"""A message is a type and its data; commands and events alike."""

from __future__ import annotations

from typing import Any, NamedTuple


class Actor(NamedTuple):
    """Who asked for a command, as whoever wrote its record says; it travels on the command and on what follows from it.

    id: tells nobody who that is. kind: what it is (`person`, `client`, whatever the writer calls it); may be empty.
    """

    id: str
    kind: str = ""


class Message(NamedTuple):
    """One command or event without its envelope.

    `type` is the Avro full name (`flights.FlightDeparted`). `data` holds the fields. What is read are numbers, text, lists and
    dicts, so that a state or a row made of them is JSON as it is: a timestamp-millis is an int of milliseconds since 1970 UTC,
    a date an int of days, a uuid text. Only decimals are `Decimal`s, and bytes are bytes. What is written may also hold
    Python's own objects: docs/schemas.md has the table.
    """

    type: str
    data: dict[str, Any]

    @property
    def actor(self) -> Actor | None:
        """Who asked for it, of a message that `decide`, `evolve` and `may` are given; None where nobody is known.

        What `decide` returns needs none: events get that of their command. No part of what makes two messages equal.
        """
        actor: Actor | None = getattr(self, "_actor", None)
        return actor

    def by(self, actor: Actor | None) -> Message:
        """The same message, asked for by `actor`."""
        if actor is None:
            return self
        message = _Asked(*self)
        message._actor = actor
        return message


class _Asked(Message):
    """A message of which it is known who asked for it."""

    _actor: Actor
