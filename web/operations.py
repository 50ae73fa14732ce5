"""How everything does at a glance: the logs' lengths, where each projection stands, and who is alive."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.record import Place
from eventfold.schemas.times import iso
from eventfold.store.builds import BUILDING, Build, Generation
from eventfold.store.generations import Generations
from eventfold.store.heartbeats import daemons, feeding, state
from eventfold.store.parked import counts
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId

FRESH_S = 1.0
BEHIND = 1_000
_KAFKA_S = 3.0
_TOPICS_S = 30.0
Body = Mapping[str, Any]


class Operations:
    """Tells it as often as it is asked, and looks once a second at most. Its connections stay open; it may be asked by threads.

    Without Kafka what Kafka alone knows is None, and `error` says why.
    """

    def __init__(self, runtime: Runtime, owners: Mapping[str, str]) -> None:
        """owners: the domain of each projection that a domain declares."""
        self._runtime = runtime
        self._owners = owners
        self._topics = Topics(runtime.kafka, timeout_s=_KAFKA_S)
        self._generations = Generations(runtime.redis, runtime.names.prefix)
        self._store = SliceStore(runtime.redis)
        self._looking = threading.Lock()
        self._told: dict[str, Any] = {}
        self._told_at = -FRESH_S
        self._places: list[Place] = []
        self._places_at = -_TOPICS_S

    def told(self) -> dict[str, Any]:
        """What `GET /operations` answers (docs/http.md); a redis error when Redis does not answer."""
        with self._looking:
            if time.monotonic() - self._told_at >= FRESH_S:
                self._told = self._look()
                self._told_at = time.monotonic()
            return self._told

    def _look(self) -> dict[str, Any]:
        found = daemons(self._runtime.redis, self._runtime.names.prefix)
        ends, error = self._ends()
        projections = self._runtime.projections.values()
        shown = [self._projection(projection, found, ends) for projection in projections]
        told = {
            "time": iso(time.time_ns() // 1_000_000),
            "domains": [self._domain(name, found, ends) for name in self._runtime.domain_names],
            "projections": sorted(shown, key=lambda each: (each["domain"], each["name"])),
            "daemons": [
                {
                    "name": name,
                    "role": body["role"],
                    "state": state(body),
                    "seen_s_ago": body["age_s"],
                    "stalled": body.get("stalled", {}),
                }
                for name, body in found.items()
            ],
        }
        return told if error is None else told | {"error": error}

    def _ends(self) -> tuple[dict[Place, int], str | None]:
        """The end of what is committed in each partition of the topics that exist."""
        try:
            if time.monotonic() - self._places_at >= _TOPICS_S:
                self._places = [
                    (topic.name, p) for topic in self._topics.existing(self._names()).values() for p in range(topic.partitions)
                ]
                # Topics that are not there yet are about to be made.
                self._places_at = time.monotonic() if self._places else -_TOPICS_S
            return self._topics.ends(self._places, committed=True), None
        except EventfoldError as fault:
            self._places_at = -_TOPICS_S
            return {}, str(fault)

    def _names(self) -> list[str]:
        names, runtime = self._runtime.names, self._runtime
        folded = {names.topic(topic) for projection in runtime.projections.values() for topic in projection.topics}
        folded |= {names.events(domain) for domain in runtime.domain_names}
        return sorted(folded | {names.commands(domain) for domain in runtime.domains})

    def _domain(self, name: str, found: Mapping[str, dict[str, Any]], ends: Mapping[Place, int]) -> dict[str, Any]:
        names = self._runtime.names
        commands = _length(ends, names.commands(name)) if name in self._runtime.domains else None
        serving = [body.get("queries", {}) for body in found.values() if body["role"] == "server" and body["alive"]]
        queries = sum(of.get(name, 0) for of in serving) if serving else None
        return {"name": name, "events": _length(ends, names.events(name)), "commands": commands, "queries": queries}

    def _projection(
        self, projection: Projection, found: Mapping[str, dict[str, Any]], ends: Mapping[Place, int]
    ) -> dict[str, Any]:
        name = projection.name
        live = self._generations.live(name)
        building = [build for build in self._generations.all(name) if build.state == BUILDING]
        projectors = feeding(found, name)
        partitions = [] if live is None else self._partitions(live, projectors, ends)
        return {
            "name": name,
            "domain": self._owners.get(name) or projection.topics[0].partition(".")[0],
            "version": projection.version,
            "generation": None if live is None else live.id,
            "state": _state(live, building, projectors, partitions),
            "parked": sum(each["parked"] for each in partitions),
            "rebuild": self._rebuild(building[0], ends) if building else None,
            "partitions": partitions,
        }

    def _partitions(
        self, live: Generation, projectors: list[Mapping[str, Any]], ends: Mapping[Place, int]
    ) -> list[dict[str, Any]]:
        slices = live.slices()
        counted: Counter[str] = Counter()
        stalled: dict[str, str] = {}
        for body in projectors:
            counted.update(body.get("folded", {}))
            stalled |= body.get("stalled", {}) | body.get("retrying", {})
        known = {place for body in projectors for place in body["partitions"]}
        return [
            _partition(slice_, progress, parked, ends, stalled, counted[place] if (place := _text(slice_)) in known else None)
            for slice_, progress, parked in zip(slices, self._store.progress(slices), counts(self._store, slices), strict=True)
        ]

    def _rebuild(self, build: Build, ends: Mapping[Place, int]) -> dict[str, Any]:
        slices = build.generation.slices()
        offset = sum(progress.offset for progress in self._store.progress(slices))
        known = [ends.get((slice_.topic, slice_.partition)) for slice_ in slices]
        end = None if None in known else sum(filter(None, known))
        return {"generation": build.id, "offset": offset, "end": end}


def _partition(
    slice_: SliceId, progress: Progress, parked: int, ends: Mapping[Place, int], stalled: Mapping[str, str], events: int | None
) -> dict[str, Any]:
    end = ends.get((slice_.topic, slice_.partition))
    return {
        "topic": slice_.topic,
        "partition": slice_.partition,
        "offset": progress.offset,
        "end": end,
        "lag": None if end is None else max(0, end - progress.offset),
        "events": events,
        "parked": parked,
        "stalled": stalled.get(_text(slice_)),
    }


def _state(live: Generation | None, building: list[Build], projectors: Sequence[Body], partitions: list[dict[str, Any]]) -> str:
    """One word of what a person should know first. `lagging`: more than BEHIND offsets are left, which a projector that keeps
    up folds before one has read the word.
    """
    if live is None and not building:
        return "never built"
    if any(each["stalled"] for each in partitions):
        return "stalled"
    if building:
        return "rebuilding"
    if not projectors:
        return "silent"
    if any(body.get("waits") for body in projectors):
        return "waits"
    return "lagging" if sum(each["lag"] or 0 for each in partitions) > BEHIND else "live"


def _length(ends: Mapping[Place, int], topic: str) -> int | None:
    found = [end for place, end in ends.items() if place[0] == topic]
    return sum(found) if found else None


def _text(slice_: SliceId) -> str:
    return f"{slice_.topic}/{slice_.partition}"
