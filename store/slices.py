"""How a slice lies in Redis: what a fold made of ONE partition, its rows and its next offset, in one hash slot.

Keys: `{<owner>:<generation>:<topic>:<partition>}:<part>`; the part `slice` is a hash with `offset` (the next one to
fold), `revision` (counts the writes), `stamp` (of the last write), `topic_id`, `last_offset` / `last_id` (the last event
folded), `digest.<table>` (see eventfold.store.digests), `part.<name>` and `fields` (see eventfold.store.integrity), and,
while a switch of generations holds the slice, `held` (until when, in milliseconds). The parts `parked` and
`parked-events` say what is put aside (see eventfold.store.parked). Every other part is a table (a hash of JSON rows) or an
index (a sorted set, all scores 0, read in the order of the members, see eventfold.store.index_members). Where a projection
asks for it, the part `changes` is a stream of what was written last (see eventfold.store.change_stream), and `changed` in
`slice` is the id of its last entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventfold.schemas.errors import Transient
from eventfold.store.digests import Digests

if TYPE_CHECKING:
    # Projections are declared by what is named here, and a command that needs no Redis need not load its client.
    from redis import Redis

META = "slice"
PARKED, PARKED_EVENTS = "parked", "parked-events"
CHANGES = "changes"
DIGEST = "digest."
HELD = "held"
STAMP = b"\xff"
"""The field of a hash (in an index, how the member begins) that bears the stamp; no text in UTF-8 has this byte."""
PART = "part."
ESCAPED = "surrogateescape"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceId:
    """Which slice: of whom (a projection, a handler), of which build, of which partition of which topic."""

    owner: str
    generation: str
    topic: str
    partition: int

    def key(self, part: str) -> str:
        return f"{{{self.owner}:{self.generation}:{self.topic}:{self.partition}}}:{part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a slice has come, as stored.

    offset: the next offset to fold. revision: the number of writes. stamp: of the last one; no other write has it.
    parts: the names of those that were written. topic_id: of the topic it was folded from.
    last_offset, last_id: the last event folded, by which a log that was cut short or made again is recognised.
    digests: of its tables; None when they are not known (a row was written past the fold). held_until: when a switch of
    generations ends to hold it, in milliseconds of Redis' clock; 0 when none does. changed: the id of the last entry in its
    stream of changes, empty when there is none. An absent slice has offset 0 and revision 0.
    """

    offset: int = 0
    revision: int = 0
    topic_id: str = ""
    last_offset: int | None = None
    last_id: str = ""
    digests: Digests | None = None
    held_until: int = 0
    changed: str = ""
    stamp: str = ""
    parts: frozenset[str] = frozenset()

    @property
    def held(self) -> bool:
        """Whether a switch of generations holds it, so that nobody may write it; a hold that ran out may still say so."""
        return self.held_until > 0


class TornError(Transient):
    """A slice of which something is missing or older than its progress; whoever folds it drops it and folds it anew."""

    def __init__(self, slice_: SliceId, part: str) -> None:
        super().__init__(
            f"the slice {slice_.key('')!r} is torn: its part {part!r} is not as it was last written (were keys deleted, "
            "evicted or restored?); its daemon, if it runs, drops it and folds it anew"
        )


def key_text(key: bytes) -> str:
    """A key as it is stored; bytes that are no UTF-8, which only someone else can have written, are escaped."""
    return key.decode(errors=ESCAPED)


def read_progress(redis: Redis, slices: Sequence[SliceId]) -> list[Progress]:
    """The stored progress of each slice, in one round trip; TornError for one that is not as it was written."""
    pipe = redis.pipeline(transaction=False)
    for slice_ in slices:
        pipe.hgetall(slice_.key(META))
    found = []
    for slice_, stored in zip(slices, pipe.execute(raise_on_error=False), strict=True):
        if isinstance(stored, Exception):
            # A key that was renamed to this one may hold something else.
            raise TornError(slice_, META) if "WRONGTYPE" in str(stored) else stored
        found.append(progress_of(slice_, stored))
    return found


def progress_of(slice_: SliceId, stored: Mapping[bytes, bytes]) -> Progress:
    """A slice's progress from the fields that are stored; TornError when some of them are missing."""
    if not stored:
        return Progress(digests={})
    try:
        last = stored.get(b"last_offset")
        if len(stored) - (HELD.encode() in stored) != int(stored[b"fields"]):
            raise ValueError("a field is missing")
        return Progress(
            offset=int(stored[b"offset"]),
            revision=int(stored[b"revision"]),
            topic_id=stored[b"topic_id"].decode(),
            last_offset=None if last is None else int(last),
            last_id=stored.get(b"last_id", b"").decode(),
            digests=_digests(stored),
            held_until=int(stored.get(HELD.encode(), 0)),
            changed=stored.get(b"changed", b"").decode(),
            stamp=bytes.fromhex(stored[b"stamp"].decode()).hex(),
            parts=frozenset(_named(stored, PART)),
        )
    except (KeyError, ValueError) as error:
        raise TornError(slice_, META) from error


def _named(stored: Mapping[bytes, bytes], prefix: str) -> dict[str, bytes]:
    """The fields with this prefix, without it."""
    start = prefix.encode()
    return {name[len(start) :].decode(): of for name, of in stored.items() if name.startswith(start)}


def _digests(stored: Mapping[bytes, bytes]) -> Digests | None:
    """None where there are none though events were folded; that of an empty table may be absent."""
    found = {table: int(of, 16) for table, of in _named(stored, DIGEST).items()}
    return found if found or b"last_offset" not in stored else None
