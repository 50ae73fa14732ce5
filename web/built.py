"""Why a read model does not have an event yet."""

from __future__ import annotations

from eventfold.projections.projection import Projection
from eventfold.schemas.position import Position
from eventfold.store.builds import BUILDING
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.heartbeats import daemons, feeding

LAGGING, REBUILDING, STALLED = "lagging", "rebuilding", "stalled"


class Conditions:
    """Tells by the daemons' signs of life and the generations; two questions to Redis."""

    def __init__(self, redis: Redis, prefix: str, projections: dict[str, Projection]) -> None:
        self._redis = redis
        self._prefix = prefix
        self._projections = projections

    def why(self, name: str, position: Position | None) -> tuple[str, str]:
        """A word and a sentence: `stalled`, `rebuilding`, or `lagging`, which alone passes by itself."""
        projectors = feeding(daemons(self._redis, self._prefix), name)
        place = None if position is None else f"{position.topic}/{position.partition}"
        for body in projectors:
            for what in ("stalled", "retrying"):
                if place is not None and place in body.get(what, {}):
                    return STALLED, f"it stands still: {body[what][place]}"
        builds = Generations(self._redis, self._prefix).all(name)
        building = [build for build in builds if build.state == BUILDING]
        if building and (position is None or any(body.get("waits") for body in projectors)):
            return REBUILDING, f"the generation {building[0].id} is being built"
        if not projectors:
            return STALLED, f"no projector of it gives a sign of life: `eventfold run projector {name}`"
        version = self._projections[name].version
        if any(body.get("waits") for body in projectors):
            return STALLED, f"its live generation is of another version than {version}: `eventfold replay {name}`"
        if position is None:
            return REBUILDING, "a projector of it is about to begin"
        return LAGGING, "it comes later: ask again"
