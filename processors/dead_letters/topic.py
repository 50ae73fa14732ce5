"""Letters that the dead-letter topics alone know of: of those who keep no slice of what they parked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters.letters import Letter, handler_name, open_letters, read
from eventfold.processors.dead_letters.owner import Entry, Item, Resolved
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.record import Place, Record
from eventfold.schemas.terminal import line, say

PROCESS_MANAGER = ".process-manager"
Resolve = Callable[[Entry, Sequence[Letter], str], Resolved]


@dataclass(frozen=True, slots=True)
class Open:
    """A letter that is open, and when it was written (ms), which is when its record was parked."""

    domain: str
    letter: Letter
    written: int

    @property
    def owner(self) -> str:
        """As people call it: a process manager may have the name of a read model."""
        owner = self.letter.owner
        return owner if owner == handler_name(self.domain) or owner.endswith(PROCESS_MANAGER) else owner + PROCESS_MANAGER

    @property
    def key(self) -> bytes:
        return self.letter.key or b""


class DeadLetters:
    """Reads the dead-letter topics of the enabled domains."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._topics = Topics(runtime.kafka)
        self._log = RangeReader(runtime.kafka, runtime.names.topic("eventfold.dead-letters"))

    def open(self) -> list[Open]:
        """Every open letter but those of projections, whose slices say what is parked; by partition, in their order."""
        found: list[Open] = []
        for domain in self._runtime.domain_names:
            name = self._runtime.names.dead_letters(domain)
            for topic in self._topics.existing([name]).values():
                ends = self._topics.ends([(name, p) for p in range(topic.partitions)], committed=True)
                starts = self._topics.starts(ends)
                spans = {place: (starts[place], end) for place, end in ends.items()}
                found += self._open(domain, self._log.scan(spans, f"reading {name}"))
        return found

    def _open(self, domain: str, records: Iterable[Record]) -> list[Open]:
        letters: dict[Place, list[Letter]] = {}
        written: dict[tuple[str, str, object], int] = {}
        for record in records:
            try:
                letter = read(record, handler_name(domain))
            except UsageError as error:
                where = f"{record.topic()}/{record.partition()}@{record.offset()}"
                say(f"{where} is passed by, since it is not a dead letter: {line(error)}", err=True)
                continue
            if not letter.generation:
                letters.setdefault((letter.origin.topic, letter.origin.partition), []).append(letter)
                written.setdefault(letter.identity, record.timestamp()[1])
        return [
            Open(domain, letter, written[letter.identity])
            for place in sorted(letters)
            for letter in open_letters(letters[place])
        ]


class OfTopic:
    """An owner whose letters the topic alone knows of.

    resolve: (what waits of a key, its letters, how) -> what came of it.
    """

    def __init__(self, name: str, letters: Sequence[Open], resolve: Resolve) -> None:
        self.name = name
        self._resolve = resolve
        self._letters = [letter for letter in letters if letter.owner == name]

    def entries(self) -> list[Entry]:
        keys: dict[tuple[Place, bytes], list[Open]] = {}
        for letter in self._letters:
            origin = letter.letter.origin
            keys.setdefault(((origin.topic, origin.partition), letter.key), []).append(letter)
        return [
            Entry(
                owner=self.name,
                domain=of[0].domain,
                key=of[0].key,
                origin=of[0].letter.origin,
                events=len(of),
                error=of[0].letter.error,
                since=of[0].written,
            )
            for of in keys.values()
        ]

    def _of(self, entry: Entry) -> list[Open]:
        """Those of a key in one partition."""
        return [
            letter
            for letter in self._letters
            if letter.key == entry.key and (letter.letter.origin.topic, letter.letter.origin.partition) == entry.place
        ]

    def items(self, entry: Entry) -> list[Item]:
        return [
            Item(
                position=of.letter.origin,
                recorded=of.written,
                headers=of.letter.headers,
                value=of.letter.value,
            )
            for of in self._of(entry)
        ]

    def resolve(self, entry: Entry, how: str) -> Resolved:
        return self._resolve(entry, [of.letter for of in self._of(entry)], how)


def nobody(entry: Entry, letters: Sequence[Letter], how: str) -> Resolved:
    """For an owner that is not installed here."""
    raise EventfoldError(f"{how}: nobody here knows what to do about the letters of {entry.owner!r}")
