"""What replay, verify and rollback have in common: one projection, its generations, its log."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property

from eventfold.kafka.topics import Topics
from eventfold.processors.claiming import claimed
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.open_slice import begun, check_start
from eventfold.processors.patience import patiently
from eventfold.processors.projector.following import stored
from eventfold.processors.projector.reading import Reading
from eventfold.processors.rebuild.builder import BULK, Builder, Targets, Throttle
from eventfold.processors.rebuild.display import Display
from eventfold.processors.rebuild.workers import Workers, shared
from eventfold.processors.runtime import Runtime
from eventfold.processors.sources import PartitionsAddedError, Sources
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import INTERRUPTED, EventfoldError, NotFoundError
from eventfold.schemas.record import Place
from eventfold.store.builds import SCRATCH, Build, Generation, new_build
from eventfold.store.claims import Claim
from eventfold.store.commits import Changes, Commit
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress

_LOOK_S = 0.25
_SHORT_S = 0.5
_MOST_ROUNDS = 100


class InterruptedReplayError(EventfoldError):
    """Told to stop by Ctrl-C or SIGTERM."""

    exit_code = INTERRUPTED


@dataclass(slots=True)
class Meter:
    """Events folded, and how fast: over all, and of late."""

    started: float
    events: int = 0
    rate: float = 0.0
    _seen: tuple[float, int] = (0.0, 0)

    def count(self, events: int) -> None:
        self.events = events
        now = time.monotonic()
        at, before = self._seen
        if now - at > 1:
            self.rate = (events - before) / (now - at) if at else events / max(now - self.started, 0.001)
            self._seen = now, events

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Job:
    """Builds generations of one projection beside the live one. `stop` ends it between two batches."""

    def __init__(self, runtime: Runtime, projection: Projection, display: Display, stop: threading.Event) -> None:
        self.runtime = runtime
        self.projection = projection
        self.display = display
        self.stop = stop
        self.store = SliceStore(runtime.redis)
        self.generations = Generations(runtime.redis, runtime.names.prefix)
        self.sources = Sources(projection, runtime.names)
        self.topics = Topics(runtime.kafka)
        self.meter = Meter(time.monotonic())

    def claim(self, what: str) -> AbstractContextManager[None]:
        """Be the only one that does this to the projection; EventfoldError says who else does."""
        taken = f"a {what} of {self.projection.name!r} runs already, on {{host}} with pid {{pid}}: wait for it, or stop it"
        claim = Claim(self.runtime.redis, self.runtime.names.prefix, f"{what}:{self.projection.name}", taken)
        return claimed(claim, self.stop)

    @cached_property
    def partitions(self) -> dict[str, int]:
        """Of each topic, with the prefix."""
        return self.sources.partitions(self.topics)

    @property
    def places(self) -> list[Place]:
        return [(topic, p) for topic, count in self.partitions.items() for p in range(count)]

    def live(self) -> Build | None:
        """The live generation."""
        live = self.generations.live(self.projection.name)
        if live is None:
            return None
        found = [build for build in self.generations.all(self.projection.name) if build.id == live.id]
        if not found:
            raise EventfoldError(f"the live generation {live.id} of {self.projection.name!r} is not among its generations")
        return found[0]

    def needed_live(self) -> Build:
        """The live generation; NotFoundError when there is none, PartitionsAddedError when it lacks partitions."""
        live = self.live()
        if live is None:
            raise NotFoundError(
                f"the read model {self.projection.name!r} was never built: start it with "
                f"`eventfold run projector {self.projection.name}`, or build it with `eventfold replay {self.projection.name}`"
            )
        if self.sources.lacks(live.generation, self.partitions):
            raise PartitionsAddedError(
                f"the live generation {live.id} of {self.projection.name!r} does not have the partitions that were added to "
                "its topics: its projector takes them as it runs, and `eventfold replay` builds a generation that has them"
            )
        return live

    def offsets(self, generation: Generation) -> dict[Place, int]:
        """The next offset of each slice of a generation."""
        places = [(slice_.topic, slice_.partition) for slice_ in generation.slices()]
        found = patiently(lambda: stored(self.store, generation, places), self.stop)
        return {place: of.offset for place, of in found.items()}

    def ends(self) -> dict[Place, int]:
        """Where the log ends, read committed."""
        return patiently(lambda: self.topics.ends(self.places, committed=True), self.stop)

    def starts(self) -> dict[Place, int]:
        """The first offset that each partition of the log still has."""
        return patiently(lambda: self.topics.starts(self.places), self.stop)

    def refuse_cut(self, first: Mapping[Place, int]) -> None:
        """BeginningGoneError when the log does not reach back to where a generation is to begin, by default to zero."""
        for place, start in self.starts().items():
            check_start(place, start, first.get(place, 0))

    def of_this_log(self, build: Build) -> bool:
        """Whether a generation was folded from the log that is there: from these topics, and no further than they go."""
        info, ends = self.topics.describe(list(self.partitions)), self.ends()
        progress = patiently(lambda: stored(self.store, build.generation, self.places), self.stop)
        return all(of.topic_id in ("", info[place[0]].id) and of.offset <= ends[place] for place, of in progress.items())

    def sweep(self) -> None:
        """Drop what has expired, where no projector runs that would."""
        self.generations.sweep(self.projection.name, self.store, int(time.time() * 1000))

    def goal(self, live: Build | None) -> dict[Place, int]:
        """Where to fold to: where the live generation is now; where that has no such slice, the end of the log."""
        now = {} if live is None else self.offsets(live.generation)
        return now if now.keys() >= {*self.places} else {**self.ends(), **now}

    def begin(self, state: str, first: Targets, last: Targets, expires: int | None = None) -> Build:
        """Enter a new generation and its slices."""
        build = new_build(
            self.projection.name,
            self.projection.version,
            self.partitions,
            self.projection.parts,
            state,
            first=named_offsets(first),
            last=named_offsets(last),
            expires=expires,
        )
        self.generations.begin(build)
        self.prepare(build)
        return build

    def prepare(self, build: Build) -> None:
        """Begin the slices that are not there: a late writer of a generation that was dropped must not meet an empty one."""
        info = self.topics.describe(list(self.partitions))
        digests = {table.name: 0 for table in self.projection.tables}
        commits = []
        slices = {place: build.generation.slice(*place) for place in self.places}
        for (topic, p), of in begun(self.store, slices, build.parts, self.topics, first=build.first_of()).items():
            if of.revision == 0:
                after = replace(of, offset=build.first.get(f"{topic}/{p}", 0), topic_id=info[topic].id, digests=digests)
                commits.append(Commit(slice=slices[topic, p], before=Progress(), after=after, changes=Changes()))
        if commits:
            self.store.commit(commits)

    def builder(self, build: Build, places: Sequence[Place], rate: float | None = None, bulk: int = BULK) -> Builder:
        """A builder of some slices of a generation."""
        runtime = self.runtime
        return Builder(
            self.projection,
            build,
            places,
            kafka=runtime.kafka,
            group=runtime.names.replay_group(self.projection.name, build.id),
            store=self.store,
            generations=self.generations,
            reading=Reading(self.projection, runtime.loaded_codec(), runtime.names),
            # Of what is dropped at the end nobody needs to know what was parked in it.
            notices=None if build.state == SCRATCH else Notices(runtime.kafka, runtime.names),
            throttle=Throttle(rate, self.stop),
            stop=self.stop,
            bulk=bulk,
        )

    def build_by_workers(self, build: Build, targets: Targets, workers: int, rate: float | None) -> None:
        """Fold up to the targets with several processes."""
        now = self.offsets(build.generation)
        shares = shared({place: targets[place] - now[place] for place in self.places}, workers)
        each = None if rate is None else rate / len(shares)
        with Workers(self.projection.name, build.id, targets, shares, rate=each) as running:
            while running.run():
                self.stopped()
                self.meter.count(running.events)
                self.display.show(self.offsets(build.generation), targets, self.meter.rate)
                self.stop.wait(_LOOK_S)
            self.meter.count(running.events)

    def chase(self, builder: Builder, live: Build | None, near_s: float = _SHORT_S) -> None:
        """Fold until close behind the live generation (the log's end, where there is none), which moves on meanwhile.

        near_s: close is what takes no longer than this to fold.
        """
        for _ in range(_MOST_ROUNDS):
            goal, started = self.goal(live), time.monotonic()
            self.advance(builder, goal)
            if time.monotonic() - started < near_s:
                return

    def advance(self, builder: Builder, goal: Targets) -> None:
        """Fold to the goal, what is past it aside, and show how it goes."""
        now, before = builder.offsets(), self.meter.events - builder.events
        targets = {place: max(goal[place], now[place]) for place in self.places}

        def look() -> None:
            self.meter.count(before + builder.events)
            self.display.show(builder.offsets(), targets, self.meter.rate)

        builder.advance(targets, look)
        look()
        self.stopped()

    def stopped(self) -> None:
        """Raise when told to stop."""
        if self.stop.is_set():
            raise InterruptedReplayError("interrupted")


def named_offsets(offsets: Mapping[Place, int]) -> dict[str, int]:
    """As a build has them, by `topic/partition`."""
    return {f"{topic}/{partition}": offset for (topic, partition), offset in sorted(offsets.items())}
