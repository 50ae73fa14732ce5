"""Folding records one at a time, so that one which fails changes nothing and the others are folded all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from eventfold.projections.fold import Fold, Read
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Decode
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.event import Event
from eventfold.schemas.record import Record
from eventfold.store.commits import Changes

Events = Callable[[Sequence[Record]], list[Event]]
"""Records become events; DecodeError says where the first bad one lies."""


class OneByOne:
    """The fold of some records of one slice onto the rows that `read` reads, as they are stored.

    Slower than a batch at once, and the same in the end. `done` is what the records that were folded come to.
    """

    def __init__(self, projection: Projection, events: Events, read: Read, held_rows: int) -> None:
        self._events = events
        self._stored = read
        self._fold = Fold(projection, held_rows)
        self.done = Changes()

    def fold(self, record: Record) -> None:
        """Fold one more; DecodeError or FoldError when it fails, and nothing is changed by it."""
        self.done.then(self._fold.apply(self._events([record]), self._read))

    def _read(self, table: str, keys: list[str]) -> list[bytes | None]:
        """Rows as the records before left them, or as they are stored."""
        changed = self.done.rows.get(table, {})
        missing = [key for key in keys if key not in changed]
        stored = dict(zip(missing, self._stored(table, missing), strict=True)) if missing else {}
        return [changed[key] if key in changed else stored[key] for key in keys]


def decoded(decode: Decode, records: Sequence[Record]) -> list[Event]:
    """The events among `records` whose type is wanted (see Codec.reader); DecodeError says where the first bad one lies."""
    events: list[Event] = []
    add = events.append
    record: Record | None = None
    try:
        for record in records:
            message = decode(record.value())
            if message is not None:
                type_, data = message
                add(_event((type_, record.key().decode(), data, record)))
    except DecodeError as error:
        assert record is not None
        raise placed(error, record) from error
    except (AttributeError, UnicodeDecodeError) as error:
        assert record is not None
        what = "the record has no key" if record.key() is None else f"the key is not UTF-8: {error}"
        raise placed(DecodeError(what), record) from error
    return events


# What a NamedTuple's own constructor does, in a third of the time; it runs once an event.
_event: Callable[[tuple[Any, ...]], Event] = partial(tuple.__new__, Event)


def placed(error: DecodeError, record: Record) -> DecodeError:
    """The same error, with where the record lies."""
    return error.at(record.topic(), record.partition(), record.offset(), record.key())
