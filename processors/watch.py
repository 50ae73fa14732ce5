"""What a daemon at rest looks at: whether its slices and its topics are still those that it left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from eventfold.kafka.topics import Topics
from eventfold.processors.open_slice import OpenSlice, changed, check_topic
from eventfold.schemas.record import Place
from eventfold.store.slice_store import SliceStore

TOPICS_S = 5.0


class Watch:
    """Notices an emptied Redis, a slice that is not whole, another writer, a Redis that may evict keys since it was set so,
    and a topic that was deleted and made again under a running daemon.
    """

    def __init__(self, store: SliceStore, topics: Topics) -> None:
        self._store = store
        self._topics = topics
        self._seen = time.monotonic()

    def changed(self, slices: Mapping[Place, OpenSlice]) -> list[Place]:
        """The slices that are not stored as this process wrote them last, or not whole; EventfoldError when Redis may evict."""
        self._store.refuse_eviction()
        return changed(self._store, slices)

    def due(self) -> bool:
        """Whether it is time again for `topics`."""
        return time.monotonic() - self._seen > TOPICS_S

    def topics(self, slices: Mapping[Place, OpenSlice], names: Iterable[str] = ()) -> dict[str, int]:
        """How many partitions the topics of the slices, and those of these names, have now.

        LogError when a topic is not the one that was folded, which a consumer may not notice by itself.
        """
        self._seen = time.monotonic()
        info = self._topics.describe(sorted({topic for topic, _ in slices} | {*names}))
        for place, slice_ in slices.items():
            check_topic(place, slice_.progress, info[place[0]])
        return {name: topic.partitions for name, topic in info.items()}
