"""Which generation a projector follows: the live one, wherever it goes, or one that is kept for a rollback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from eventfold.kafka.topics import Topics
from eventfold.processors.sources import PartitionsAddedError, Sources, added
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.record import Place
from eventfold.store.builds import KEPT, Build, Generation
from eventfold.store.generations import Generations, OtherVersionError
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress


class RetiredError(EventfoldError):
    """The generation is no longer kept: nothing may be written to it."""


class Followed(Protocol):
    """What a projector folds into. live: then an absent slice begins at offset zero, and the group is told the offsets."""

    live: bool

    def generation(self) -> Generation:
        """The generation to fold into now; an error ends the projector."""
        ...

    def still(self, generation: Generation) -> bool:
        """Whether that is still the one."""
        ...

    def known(self, generation: Generation) -> bool:
        """Whether the generation still is one, live or not; if not, Redis forgot it, or it was dropped."""
        ...

    def first(self, generation: Generation) -> Mapping[Place, int]:
        """Where its slices begin, of those that do not begin at offset zero."""
        ...


class Live:
    """The live generation of a projection; the first to ask makes one, and gives it the partitions that were added since.

    OtherVersionError when it is of another version, PartitionsAddedError when it may not have them.
    """

    live = True

    def __init__(
        self,
        projection: Projection,
        generations: Generations,
        sources: Sources,
        topics: Topics,
        check_letters: Callable[[], None],
    ) -> None:
        """check_letters: raises where the dead letters of some partitions would have nowhere to go."""
        self._projection = projection
        self._generations = generations
        self._sources = sources
        self._topics = topics
        self._check_letters = check_letters

    def generation(self) -> Generation:
        projection, now = self._projection, self._sources.partitions(self._topics)
        while True:
            found = self._generations.ensure(projection.name, projection.version, now, projection.parts)
            if not projection.made(found):
                raise OtherVersionError(
                    f"the live generation of {projection.name!r} was made by {projection.made_by(found)}: nothing is written "
                    f"until `eventfold replay {projection.name}` has built the new one"
                )
            if not self._sources.lacks(found, now):
                return found
            self._check_letters()
            # Of several that do this one is first, and the next look finds what it wrote.
            self._generations.widen(found, now)

    def still(self, generation: Generation) -> bool:
        live = self._generations.live(generation.projection)
        return live is not None and live.id == generation.id

    def known(self, generation: Generation) -> bool:
        return any(build.id == generation.id for build in self._generations.all(generation.projection))

    def first(self, generation: Generation) -> Mapping[Place, int]:
        builds = self._generations.all(generation.projection)
        return next((build.first_of() for build in builds if build.id == generation.id), {})


class Kept:
    """A generation that was live and is kept as it would be; RetiredError when it is not kept any more."""

    live = False

    def __init__(self, build: Build, generations: Generations, sources: Sources, topics: Topics) -> None:
        self._build = build
        self._generations = generations
        self._sources = sources
        self._topics = topics

    def generation(self) -> Generation:
        kept = self._build.generation
        if not self.still(kept):
            raise RetiredError(f"the generation {kept.id} of {kept.projection!r} is not kept any more")
        if grown := added(kept.partitions, self._sources.partitions(self._topics)):
            raise PartitionsAddedError(
                f"partitions were added to {', '.join(grown)} since the generation {kept.id} of {kept.projection!r} was live"
            )
        return kept

    def still(self, generation: Generation) -> bool:
        builds = self._generations.all(generation.projection)
        return any(build.id == generation.id and build.state == KEPT for build in builds)

    def known(self, generation: Generation) -> bool:
        return self.still(generation)

    def first(self, generation: Generation) -> Mapping[Place, int]:
        return self._build.first_of()


def stored(store: SliceStore, generation: Generation, places: list[Place]) -> dict[Place, Progress]:
    """The progress of some slices of a generation."""
    return dict(zip(places, store.progress([generation.slice(*place) for place in places]), strict=True))
