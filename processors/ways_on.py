"""What to do when the log is not the one that was worked on, or not all of it, with the least loss first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eventfold.projections.projection import Projection
from eventfold.schemas.errors import BeginningGoneError, LogError, OtherLogError

RESTORE = (
    "restore the topic's export into one of its name that never had a record (docs/backup.md): `eventfold import-log FOLDER`"
)


@contextmanager
def of_projection(projection: Projection) -> Iterator[None]:
    """The errors of whoever folds this projection."""
    name = projection.name
    anew = f"`eventfold replay {name} --switch always`"
    give_up = f"give it up: `eventfold forget {name} --for-good`, and take it out of its domain"
    cut = [
        f"{RESTORE}, then {anew}",
        f"go on with the rows as they are, where all that is gone was folded: `eventfold replay {name} --keep-rows`",
    ]
    if projection.from_any_point:
        left = f"`eventfold replay {name} --from-offset beginning --switch always`"
        cut.append(f"fold what is left: {left}")
    other = [f"{RESTORE}, unless that was done, then {anew}", f"fold the log that is there now: {anew}"]
    with _told([*cut, give_up], [*other, give_up]):
        yield


@contextmanager
def of_handler(domain: str) -> Iterator[None]:
    """The errors of a domain's handler, which decides nothing on a part of what has happened."""
    forget = f"`eventfold forget {domain}.handler`"
    cut = [
        f"{RESTORE}, then {forget}",
        "begin a new log under another EVENTFOLD_TOPIC_PREFIX, since nothing can be decided on a part of what has happened",
    ]
    other = [
        f"{RESTORE}, unless that was done, then {forget}",
        f"decide on what the topics hold now: {forget}; what was refused may be decided anew, if it is sent again",
    ]
    with _told(cut, other):
        yield


@contextmanager
def of_process_manager(name: str) -> Iterator[None]:
    """The errors of a process manager, which goes on from its group's offsets."""
    forget = f"`eventfold forget {name}.process-manager`"
    cut = [
        f"{RESTORE}, then {forget}",
        f"go on with what is left, and react to nothing of what is gone: {forget[:-1]} --for-good`",
    ]
    other = [
        f"{RESTORE}, unless that was done, then {forget}",
        f"begin with the log that is there now: {forget}",
    ]
    with _told(cut, other):
        yield


@contextmanager
def _told(cut: list[str], other: list[str]) -> Iterator[None]:
    try:
        yield
    except BeginningGoneError as error:
        raise BeginningGoneError(_with(error, cut)) from error
    except OtherLogError as error:
        raise OtherLogError(_with(error, other)) from error


def _with(error: LogError, ways: list[str]) -> str:
    said = str(error)
    if _LEAST in said:
        return said
    return f"{said}; {_LEAST}: " + "; ".join(f"({number}) {way}" for number, way in enumerate(ways, 1))


_LEAST = "what to do, with the least loss first"
