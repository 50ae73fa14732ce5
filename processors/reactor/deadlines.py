"""Emits what a process manager says once a deadline has passed, from the timers that run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import structlog

from eventfold.kafka.publisher import Publisher, PublishError
from eventfold.kafka.topics import Topics
from eventfold.processors.patience import FAULTS, raise_lasting
from eventfold.processors.reactor.emitting import Cause, Emitted, Emitter
from eventfold.processors.reactor.timers import due_text, index_name, timers_name
from eventfold.producers.process_manager import Deadline, ProcessManager
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import spoken
from eventfold.schemas.event import Event
from eventfold.schemas.message import Actor
from eventfold.schemas.record import Place
from eventfold.store.builds import Generation
from eventfold.store.generations import Generations
from eventfold.store.index_members import parts_and_key
from eventfold.store.rows import parsed
from eventfold.store.slice_store import SliceStore

_LOOK_S = 0.25
_AGAIN_S = 30.0
_LONGEST_S = 3600.0
_PAGE = 500

log = structlog.get_logger("process-manager")
_Timer = tuple[str, int, str, str]


class Deadlines:
    """Looks a few times a second for timers that are due in the partitions of `places`; due by this machine's clock.

    A timer fires only from a slice that has folded whatever was in the log when it was seen to be due, so that one whose end
    is in the log already does not fire while a slice is built anew. Two daemons that fire the same timer emit the same
    ids, and so does one that fires it again. One that fired is not fired again for 30 s, twice as long each time,
    up to an hour, while its end is on the way; only this process remembers that.
    """

    def __init__(
        self,
        manager: ProcessManager,
        *,
        emitter: Emitter,
        codec: Codec,
        publisher: Callable[[], Publisher],
        store: SliceStore,
        generations: Generations,
        topics: Topics,
        stop: threading.Event,
    ) -> None:
        self._manager = manager
        self._timers = timers_name(manager.name)
        self._emitter = emitter
        self._codec = codec
        self._open_publisher = publisher
        self._publisher: Publisher | None = None
        self._store = store
        self._generations = generations
        self._topics = topics
        self._stop = stop
        self._marks: dict[Place, tuple[int, int]] = {}
        self._fired: dict[_Timer, tuple[float, float]] = {}
        self._wrong: dict[str, str] = {}
        self.places: frozenset[Place] = frozenset()
        """The partitions whose timers it fires; another thread may set this."""

    def wrong(self) -> dict[str, str]:
        """The deadlines on which a reaction failed, each with its error; other threads may ask."""
        return dict(self._wrong)

    def run(self) -> None:
        """Fire what is due until told to stop. What passes (Redis or Kafka that is away) is waited for."""
        while not self._stop.wait(_LOOK_S):
            try:
                self.look(time.time_ns() // 1_000_000)
            except (*FAULTS, PublishError) as fault:
                if not isinstance(fault, PublishError):
                    raise_lasting(fault)
                log.warning("deadlines are looked at again", process_manager=self._manager.name, fault=spoken(fault))
                self._publisher = None

    def look(self, now_ms: int) -> None:
        """Fire what is due now."""
        live = self._generations.live(self._timers)
        if live is None:
            return
        due: dict[Place, dict[str, list[str]]] = {}
        for place in self.places:
            if place[1] < live.partitions.get(place[0], 0):
                found = {name: list(self._due(live, place, name, now_ms)) for name in self._manager.deadlines}
                if any(found.values()):
                    due[place] = found
        self._mark(due, now_ms)
        fired: list[_Timer] = []
        for place, by_name in due.items():
            for name, members in by_name.items():
                fired += self._fire(live, place, self._manager.deadlines[name], members)
        if fired:
            self._acknowledged(fired)

    def _due(self, live: Generation, place: Place, name: str, now_ms: int) -> Iterator[str]:
        """The members of the index that are due and did not fire just now."""
        after, soon = None, time.monotonic()
        while True:
            members = self._store.until(live.slice(*place), index_name(name), due_text(now_ms), _PAGE, after)
            for member in members:
                if self._fired.get((*place, name, member), (0.0, 0.0))[0] <= soon:
                    yield member
            if len(members) < _PAGE:
                return
            after = members[-1]

    def _mark(self, due: Collection[Place], now_ms: int) -> None:
        """Remember up to where the log must be folded before what is due by now may fire in these partitions."""
        self._marks = {place: mark for place, mark in self._marks.items() if place in due}
        ends = self._topics.ends([place for place in due if place not in self._marks], committed=True)
        self._marks |= {place: (end, now_ms) for place, end in ends.items()}

    def _fire(self, live: Generation, place: Place, deadline: Deadline, members: list[str]) -> list[_Timer]:
        fired: list[_Timer] = []
        end, seen_ms = self._marks[place]
        for low in range(0, len(members), _PAGE):
            page = {parts_and_key(member)[1]: member for member in members[low : low + _PAGE]}
            offset, rows = self._store.at(live.slice(*place), deadline.name, list(page), index=False)
            if offset < end:
                return fired
            for key, stored in rows.items():
                row = parsed(stored, deadline.name, key)
                if row["due"] <= seen_ms and self._emit(deadline, key, row):
                    fired.append((*place, deadline.name, page[key]))
        return fired

    def _emit(self, deadline: Deadline, key: str, row: dict[str, Any]) -> bool:
        """Hand the commands to the producer; False where the reaction failed, which is tried again as if it had fired."""
        try:
            for place, record in self._commands(deadline, key, row):
                assert record.value is not None
                self._publisher = self._publisher or self._open_publisher()
                self._publisher.send(place[0], str(record.key), record.value, record.headers)
        except (*FAULTS, PublishError):
            raise
        except Exception as error:
            what = f"the deadline {deadline.name!r} of {key!r} cannot fire: {type(error).__name__}: {error}"
            if self._wrong.get(f"{deadline.name} of {key}") != what:
                log.error("a deadline cannot fire", process_manager=self._manager.name, error=what)
            self._wrong[f"{deadline.name} of {key}"] = what
        else:
            self._wrong.pop(f"{deadline.name} of {key}", None)
        return True

    def _commands(self, deadline: Deadline, key: str, row: dict[str, Any]) -> list[Emitted]:
        cause = Cause(
            id=row["id"],
            time=row["due"],
            correlation_id=row["correlation"] or row["id"],
            process=row["process"],
            traceparent=row["trace"] or None,
            actor=Actor(*row["actor"]) if "actor" in row else None,
        )
        emits = deadline.fires(Event(row["type"], key, self._codec.restored(row["type"], row["data"])))
        return self._emitter.records(emits, cause, None, deadline.name)

    def _acknowledged(self, fired: list[_Timer]) -> None:
        if self._publisher is not None:
            self._publisher.flush()
        log.info("deadlines fired", process_manager=self._manager.name, deadlines=len(fired))
        for timer in fired:
            pause_s = min(self._fired.get(timer, (0.0, _AGAIN_S / 2))[1] * 2, _LONGEST_S)
            self._fired[timer] = (time.monotonic() + pause_s, pause_s)
        # Whose end came is not asked for again.
        forgotten = time.monotonic() - 2 * _LONGEST_S
        self._fired = {timer: of for timer, of in self._fired.items() if of[0] > forgotten}
        for timer in fired:
            self._marks.pop(timer[:2], None)
