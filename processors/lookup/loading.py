"""An aggregate by its id: the state that the next command would be decided on, or the one that it had at a point."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eventfold.processors.handler.handover import ledger_name
from eventfold.processors.lookup.history import History
from eventfold.producers.decider import Decider, State, evolved
from eventfold.producers.domain import Domain
from eventfold.schemas.errors import LogError, NotFoundError, TimedOutError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.ids import checked_key
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.ledgers import snapshot_at
from eventfold.store.outcomes import Outcome
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import TornError

_POLL_S = (0.002, 0.05)
# A ledger that runs follows its outcomes within milliseconds; one that does not may never come so far.
_LEDGER_S = 2.0
_LOG_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An aggregate as it was found.

    version: the number of its events; 0, with the decider's initial state, when it has none. state: a dict of the
    caller's own. position: of the last event that was looked at in its partition, so that all of the aggregate's events
    up to there are in the state; None when there is none.
    """

    key: str
    version: int
    state: State
    position: Position | None


class _Found(NamedTuple):
    """What was found, and the partition's first offset that was not looked at."""

    loaded: Loaded
    end: int


class Loader:
    """Loads aggregates of one domain.

    Now: from the handler's ledger in Redis, state and offset in one atomic read. It lags behind the log by the events that
    are being written, and more while a handler takes its partitions over, so a decision made on it belongs into a command
    with the expected version. Where Redis has no ledger, and as of a point: from the log, by `History`.
    """

    def __init__(self, domain: Domain, redis: Redis, names: Names, history: History) -> None:
        self._domain = domain
        self._events = names.events(domain.name)
        self._history = history
        self._store = SliceStore(redis)
        self._generations = Generations(redis, names.prefix)

    def load(
        self,
        key: str,
        *,
        after: Outcome | Position | None = None,
        least: int = 0,
        timeout_s: float = 10,
    ) -> Loaded:
        """The aggregate as it is, once what is `after` is in it, and its version is `least` or higher.

        What the ledger does not have after two seconds is looked for in the log: the handler may be of another version, or
        not run. UsageError for a position that is not in the aggregate's partition, TimedOutError after `timeout_s`.
        """
        checked_key(key)
        positions = _positions(after)
        now = time.monotonic()
        deadline, patience, pause = now + timeout_s, now + min(_LEDGER_S, timeout_s), _POLL_S[0]
        while True:
            found = self._in_ledger(key, positions)
            if found is None or (not _reaches(found, positions, least) and time.monotonic() >= patience):
                found, pause = self._in_log(key, positions), _LOG_S
            if _reaches(found, positions, least):
                return found.loaded
            if time.monotonic() + pause > deadline:
                raise TimedOutError(_behind(found, positions, least, timeout_s))
            time.sleep(pause)
            pause = min(pause * 2, _POLL_S[1])

    def load_at(self, key: str, at: Position | int) -> Loaded:
        """The aggregate as it was with all of its events up to a position, or with so many of them, folded from the log.

        NotFoundError when the log does not reach so far; UsageError for a position that is not in its partition.
        """
        aggregate = self._history.aggregate(f"{self._domain.name}.events", checked_key(key))
        if isinstance(at, Position):
            _belongs(key, (aggregate.topic, aggregate.partition), [at])
            if at.offset >= aggregate.end:
                raise NotFoundError(f"{at} is not in the log yet: it ends at offset {aggregate.end}")
            events = [event for event in aggregate.events if event.position.offset <= at.offset]
        else:
            if at < 0:
                raise UsageError(f"{at} is not a version: they count from 0")
            if at > len(aggregate.events):
                raise NotFoundError(f"{key!r} has no version {at} yet: it is at version {len(aggregate.events)}")
            events = list(aggregate.events[:at])
        return _folded(self._domain.decider, key, events)

    def _in_ledger(self, key: str, positions: list[Position]) -> _Found | None:
        """None where Redis has no ledger of the partition, or one that is not whole."""
        live = self._generations.live(ledger_name(self._domain))
        if live is None:
            return None
        place = (self._events, partition_of(key, live.partitions[self._events]))
        _belongs(key, place, positions)
        try:
            offset, held = snapshot_at(self._store, live.slice(*place), key)
        except TornError:
            return None
        if not offset:
            return None
        version, state = (0, self._domain.decider.initial()) if held is None else (held["version"], held["state"])
        loaded = Loaded(key=key, version=version, state=state, position=Position(*place, offset - 1))
        return _Found(loaded, offset)

    def _in_log(self, key: str, positions: list[Position]) -> _Found:
        aggregate = self._history.aggregate(f"{self._domain.name}.events", key)
        _belongs(key, (aggregate.topic, aggregate.partition), positions)
        return _Found(_folded(self._domain.decider, key, aggregate.events), aggregate.end)


def _folded(decider: Decider, key: str, events: Sequence[Event]) -> Loaded:
    """What an aggregate's first events make of it; LogError names the event that the decider cannot fold."""
    state, position = decider.initial(), None
    for event in events:
        position = event.position
        try:
            state = evolved(decider, state, event.message)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise LogError(f"{position} key {key!r}: the decider cannot fold this event: {what}") from error
    return Loaded(key=key, version=len(events), state=state, position=position)


def _reaches(found: _Found, positions: list[Position], least: int) -> bool:
    return found.loaded.version >= least and all(position.offset < found.end for position in positions)


def _behind(found: _Found, positions: list[Position], least: int, timeout_s: float) -> str:
    wanted = [str(position) for position in positions] or [f"version {least}"]
    return (
        f"{found.loaded.key!r} is known up to version {found.loaded.version} and offset {found.end}, and "
        f"{' and '.join(wanted)} did not come within {timeout_s:g} s: does the handler run? (eventfold status)"
    )


def _positions(after: Outcome | Position | None) -> list[Position]:
    if isinstance(after, Outcome):
        return list(after.positions)
    return [] if after is None else [after]


def _belongs(key: str, place: Place, positions: list[Position]) -> None:
    for position in positions:
        if position[:2] != place:
            raise UsageError(f"the events of {key!r} lie in {place[0]}/{place[1]}, of which {position} says nothing")
