"""The topics that a projection folds, and what is to be done about partitions that were added to them.

Keys belong to other partitions then, so the records of a key lie in two of them. A topic of eventfold's own is refused: its
rows, versions and ids rest on one partition a key, and only a restore into new topics gives every key one again. Of a topic
that others write, the new partitions are taken if every table has a merge: then a row is merged from whatever slices have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from eventfold.kafka.topics import Topics
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import EventfoldError, Transient
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import Record
from eventfold.store.builds import Generation
from eventfold.store.generations import Generations

RESTORE = (
    "export the domain's topics, restore them into new ones with `eventfold import-log --partitions N`, and fold those into an "
    "empty Redis (docs/backup.md)"
)
_LOOKED_AT = 1_000
_ENOUGH = 8


class PartitionsAddedError(EventfoldError):
    """A topic has another number of partitions than what was folded of it."""


class Sources:
    """The topics of one projection, with the prefix."""

    def __init__(self, projection: Projection, names: Names) -> None:
        self._projection = projection
        self._foreign = {names.topic(of.topic) for of in projection.foreign}
        self.names = [names.topic(topic) for topic in projection.topics]

    def partitions(self, topics: Topics) -> dict[str, int]:
        """How many partitions each has now; NotFoundError when one does not exist."""
        return {name: info.partitions for name, info in topics.describe(self.names).items()}

    def lacks(self, generation: Generation, now: Mapping[str, int]) -> bool:
        """Whether a generation lacks partitions that were added since, and may take them.

        PartitionsAddedError says what to do where it may not, EventfoldError where its version folds other topics; Transient
        while Kafka tells of fewer of a foreign topic.
        """
        if generation.version == self._projection.version and generation.partitions.keys() != now.keys():
            raise EventfoldError(
                f"{self._projection.name!r} was folded from {', '.join(sorted(generation.partitions))} and is declared to fold "
                f"{', '.join(sorted(now))}: raise its version and run `eventfold replay {self._projection.name}`"
            )
        before = generation.partitions
        grown = added(before, now)
        for topic in grown:
            if topic not in self._foreign:
                refuse_added(f"{self._projection.name!r} was folded", {topic: before[topic]}, now)
            if now[topic] < before[topic]:
                # One broker may be behind the one that told of them.
                raise Transient(
                    f"{topic!r} has {now[topic]} partitions, but had {before[topic]}: was it deleted and made again?"
                )
            if whole := self._projection.whole_rows:
                raise PartitionsAddedError(
                    f"{_said(topic, before, now)} since {self._projection.name!r} was folded, so the records of a key may "
                    f"lie in two of them, but a row of {', '.join(map(repr, whole))} can only be made of one: declare a "
                    f"`merge` (and no index), raise the version and run `eventfold replay {self._projection.name}` "
                    "(docs/schemas.md)"
                )
        return bool(grown)


def added(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """The topics that do not have as many partitions as before."""
    return [topic for topic, count in before.items() if now.get(topic, count) != count]


def refuse_added(since: str, before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """PartitionsAddedError when topics of eventfold's own have another number of partitions; `since`: when it was `before`."""
    for topic in added(before, now):
        if now[topic] < before[topic]:
            raise PartitionsAddedError(
                f"{topic!r} has {now[topic]} partitions, but had {before[topic]} when {since}: it was deleted and made again, "
                "so what was folded is not of this log"
            )
        raise PartitionsAddedError(
            f"{_said(topic, before, now)} since {since}, so keys no longer belong where their records lie: {RESTORE}"
        )


def refuse_misplaced(records: Sequence[Record], partitions: int) -> None:
    """PartitionsAddedError when keys do not belong where their records lie, in the first records of one of so many partitions.

    Where partitions were added, half of the keys or more do not. A few strangers are none of its business.
    """
    keys = {key for record in records[:_LOOKED_AT] if (key := record.key())}
    topic, partition = records[0].topic(), records[0].partition()
    wrong = [key for key in keys if partition_of(key, partitions) != partition]
    if len(keys) >= _ENOUGH and len(wrong) * 4 >= len(keys):
        raise PartitionsAddedError(
            f"{topic}/{partition}: {len(wrong)} of the first {len(keys)} keys do not belong there, of {partitions} partitions. "
            f"If some were added, {RESTORE}; if others write it, and not by murmur2, declare it as foreign (docs/schemas.md)"
        )


def refuse_added_since(generations: Generations, owners: Iterable[str], now: Mapping[str, int]) -> None:
    """PartitionsAddedError as Redis knows it: of what the live generations of these owners folded from these topics."""
    for owner in owners:
        live = generations.live(owner)
        if live is not None:
            refuse_added(f"{owner!r} was folded", live.partitions, now)


def _said(topic: str, before: Mapping[str, int], now: Mapping[str, int]) -> str:
    return f"partitions were added to {topic!r} ({before[topic]} then, {now[topic]} now)"
