"""Replay: build the next generation from the log beside the live one, compare the two, and switch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from eventfold.processors.dead_letters.notices import check_topics
from eventfold.processors.patience import FAULTS, patiently, raise_lasting
from eventfold.processors.rebuild.builder import Builder, GoneError
from eventfold.processors.rebuild.compare import Comparing
from eventfold.processors.rebuild.job import Job
from eventfold.processors.rebuild.report import Report, passed_over
from eventfold.processors.rebuild.switching import NotYet, Switched, switch
from eventfold.schemas.errors import EventfoldError, NotFoundError, UsageError, spoken
from eventfold.schemas.failure import may_park
from eventfold.schemas.record import Place
from eventfold.store.builds import BUILDING, Build
from eventfold.store.memory import room

ALWAYS, IF_EQUAL, NEVER = "always", "if-equal", "never"
_STILL_S = 1.0
_NEAR_S = 0.1
_MOST_FAULTS = 20

log = structlog.get_logger("replay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to replay.

    switch: `always`, `if-equal`, `never`, or None for what fits: if equal, but always when the projection's version is a
    newer one or the live generation is not of the whole history, and never when the new one is not. show: how many
    differences to list. rate: most events a second. keep_ms: how long to keep what was live. first, last: offsets to begin
    and end at, where that is not all of the log.
    """

    workers: int = 1
    switch: str | None = None
    show: int = 20
    rate: float | None = None
    keep_ms: int = 0
    check_memory: bool = True
    resume: bool = False
    first: Mapping[Place, int] = field(default_factory=dict)
    last: Mapping[Place, int] = field(default_factory=dict)


class Replay:
    """One replay. Killed at any moment it goes on where it was, with `resume`."""

    def __init__(self, job: Job, wish: Wish) -> None:
        self._job = job
        self._wish = wish
        self._comparing: Comparing | None = None
        self._other = False  # Whether what is live was folded from another log.
        self._seconds = 0.0
        self._faults = 0

    def run(self) -> Report:
        """Build, compare, switch. EventfoldError when it is refused, or an event cannot be folded."""
        with self._job.claim("replay"), self._job.display:
            if may_park(self._job.projection.on_failure):
                check_topics(self._job.runtime.kafka, self._job.runtime.names, list(self._job.partitions))
            live = self._job.live()
            if live is not None:
                # What it may take is taken by the new generation; else no fold of this log can be right.
                self._job.sources.lacks(live.generation, self._job.partitions)
            self._refuse_wish(live)
            self._other = live is not None and not self._job.of_this_log(live)
            self._job.sweep()
            build = self._build()
            how = self._how(live, build)
            try:
                return self._run(live, build, how)
            except (GoneError, NotFoundError):
                raise
            except EventfoldError as error:
                again = f"`eventfold replay {self._job.projection.name} --resume` goes on from here, --abort drops it"
                hinted = EventfoldError(f"{error}; {again}")
                hinted.exit_code = error.exit_code
                raise hinted from error

    def _run(self, live: Build | None, build: Build, how: str) -> Report:
        job, wish = self._job, self._wish
        if wish.workers > 1:
            job.build_by_workers(build, self._goal(None if self._other else live, build), wish.workers, wish.rate)
        with job.builder(build, job.places, wish.rate) as builder:
            while True:
                try:
                    return self._finish(live, build, builder, how)
                except FAULTS as fault:
                    raise_lasting(fault)
                    self._faults += 1
                    if self._faults > _MOST_FAULTS or job.stop.is_set():
                        raise
                    log.warning("going on from what is stored", fault=spoken(fault))
                    job.stop.wait(_STILL_S)
                    live = patiently(job.live, job.stop)

    def _finish(self, live: Build | None, build: Build, builder: Builder, how: str) -> Report:
        """Fold what is left, compare, switch."""
        job, why, switched = self._job, "", None
        if live is not None and live.id == build.id:
            # The switch was made, and only its answer was lost.
            return self._report(build, builder, how, Switched(held_ms=0, kept=None), "")
        if build.last:
            job.advance(builder, self._goal(None if self._other else live, build))
        else:
            job.chase(builder, None if self._other else live)
        self._seconds = self._seconds or job.meter.seconds
        if live is not None and build.whole and live.whole and not self._other:
            self._compare(live, build, builder)
        if how == NEVER:
            why = "as was asked for" if build.whole else "it is not of the whole history"
        elif how == IF_EQUAL and live is not None and self._comparing is None:
            of = "was folded from another log" if self._other else "is not of the whole history"
            why = f"the live generation {of}, so they cannot be compared"
        elif how == IF_EQUAL and self._comparing is not None and self._comparing.found.different:
            why = "it differs from the live one"
        else:
            self._pass_by(builder, None if self._other else live)
            # Whatever is folded before the hold is not waited for during it.
            job.chase(builder, None if self._other else live, _NEAR_S)
            switched = self._switch(live, build, builder, how)
            job.sweep()
        return self._report(build, builder, how, switched, why)

    def _report(self, build: Build, builder: Builder, how: str, switched: Switched | None, why: str) -> Report:
        job = self._job
        offsets = builder.offsets()
        return Report(
            build=build,
            events=job.meter.events,
            seconds=self._seconds,
            offsets=offsets,
            comparison=None if self._comparing is None else self._comparing.found,
            switched=switched,
            why=why,
            wanted=how != NEVER,
            passed_over=passed_over(job.runtime.kafka, job.topics, build.first_of(), offsets),
        )

    def _build(self) -> Build:
        """The generation to build: a new one, or the one that was interrupted."""
        job, wish, name = self._job, self._wish, self._job.projection.name
        begun = [build for build in job.generations.all(name) if build.state == BUILDING]
        if wish.resume:
            if not begun:
                raise NotFoundError(f"no replay of {name!r} was interrupted")
            build = begun[-1]
            if not job.projection.made(build.generation):
                raise UsageError(
                    f"the replay {build.id} of {name!r} was begun by {job.projection.made_by(build.generation)}, this is "
                    f"version {job.projection.version}: drop it with `eventfold replay {name} --abort`"
                )
            if build.generation.partitions != job.partitions:
                raise UsageError(
                    f"the replay {build.id} was begun when the topics of {name!r} had other partitions: drop it with "
                    f"`eventfold replay {name} --abort`, and begin anew"
                )
            job.refuse_cut(build.first_of())
            job.prepare(build)
            job.display.say(f"going on with {build.id}")
            return build
        if begun:
            raise EventfoldError(
                f"the replay {begun[-1].id} of {name!r} is not finished: go on with `eventfold replay {name} --resume`, or "
                f"drop it with `eventfold replay {name} --abort`"
            )
        job.refuse_cut(wish.first)
        self._check_memory()
        build = job.begin(BUILDING, wish.first, wish.last)
        job.display.say(f"building {build.id}" + ("" if build.whole else ", which will not be of the whole history"))
        return build

    def _check_memory(self) -> None:
        job, live = self._job, self._job.live()
        folded = 0 if live is None else sum(job.offsets(live.generation).values())
        found = room(job.runtime.redis, job.store, live, folded, sum(job.ends().values()))
        job.display.say(str(found))
        if self._wish.check_memory:
            found.check()

    def _refuse_wish(self, live: Build | None) -> None:
        if live is not None and live.generation.version > self._job.projection.version and self._wish.switch is None:
            raise UsageError(
                f"the live generation of {self._job.projection.name!r} was made by version {live.generation.version}, this is "
                f"version {self._job.projection.version}: go back to it by --switch always, or try it by --switch never"
            )
        if self._wish.last and self._wish.switch not in (None, NEVER):
            raise UsageError("what ends before the log does cannot go live: projectors would fold on from there")

    def _how(self, live: Build | None, build: Build) -> str:
        if not build.whole:
            return ALWAYS if self._wish.switch == ALWAYS and not build.last else NEVER
        if self._wish.switch is not None:
            return self._wish.switch
        made = live is None or self._job.projection.made(live.generation)
        changed = live is not None and (not made or not live.whole or self._other)
        return ALWAYS if changed else IF_EQUAL

    def _goal(self, live: Build | None, build: Build) -> dict[Place, int]:
        job = self._job
        now = job.offsets(build.generation)
        goal = {(t, p): build.last.get(f"{t}/{p}", 0) for t, p in job.places} if build.last else job.goal(live)
        return {place: max(goal[place], now[place]) for place in job.places}

    def _compare(self, live: Build, build: Build, builder: Builder) -> None:
        job = self._job
        job.display.say("comparing with the live generation")
        there = job.offsets(live.generation)
        comparing = Comparing(
            job.projection,
            live,
            build,
            builder,
            job.store,
            limit=self._wish.show,
            stopped=job.stopped,
        )
        self._comparing = comparing
        for place in [place for place in job.places if place in there]:
            comparing.slice(place, read=False)

    def _pass_by(self, builder: Builder, live: Build | None) -> None:
        """Where the live generation stands still (no projector runs, or an event stops it), go on without it."""
        job = self._job
        if live is None:
            return
        before, ends = job.offsets(live.generation), job.ends()
        places = [place for place in job.places if place in before]
        if all(before[place] >= ends[place] for place in places):
            return
        job.stop.wait(_STILL_S)
        after = job.offsets(live.generation)
        still = {place: ends[place] for place in places if before[place] == after[place] < ends[place]}
        if still:
            job.advance(builder, {**builder.offsets(), **still})

    def _switch(self, live: Build | None, build: Build, builder: Builder, how: str) -> Switched:
        job = self._job

        def reach(offsets: dict[Place, int], left_s: float) -> None:
            if self._other:
                return
            deadline = time.monotonic() + left_s

            def look() -> None:
                if time.monotonic() > deadline:
                    raise NotYet(f"the new generation {build.id} did not catch up while the live one was held")

            now = builder.offsets()
            builder.advance({place: max(offsets.get(place, 0), now[place]) for place in job.places}, look, urgent=True)
            job.stopped()
            if how == IF_EQUAL and self._comparing is not None:
                self._check(self._comparing, offsets, builder)

        return switch(job.generations, job.store, live, build, reach, keep_ms=0 if self._other else self._wish.keep_ms)

    @staticmethod
    def _check(comparing: Comparing, offsets: Mapping[Place, int], builder: Builder) -> None:
        """What was equal by its digest must be so where the live slice is held now."""
        now = builder.offsets()
        for place in comparing.by_digest:
            if now[place] == offsets[place] and not comparing.same_digests(place):
                raise EventfoldError(f"{place[0]}/{place[1]} differs from the live one since they were compared: compare again")
