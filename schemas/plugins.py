"""Domains found by entry points: one group a room, one name a domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from eventfold.schemas import own
from eventfold.schemas.errors import UsageError
from eventfold.schemas.names import checked_name

SCHEMAS = "eventfold.schemas"
PRODUCERS = "eventfold.producers"
PROJECTIONS = "eventfold.projections"
PROCESSORS = "eventfold.processors"
PAGES = "eventfold.pages"


def enabled(environ: Mapping[str, str]) -> list[str] | None:
    """The domains that `EVENTFOLD_DOMAINS` (separated by commas) allows, or None for all installed ones."""
    return _listed(environ, "EVENTFOLD_DOMAINS") or None


def indexed(environ: Mapping[str, str], domains: Sequence[str]) -> list[str]:
    """Those of the enabled domains whose log `EVENTFOLD_INDEXES` (separated by commas) wants an index of, by default none."""
    names = list(dict.fromkeys(_listed(environ, "EVENTFOLD_INDEXES")))
    for name in names:
        if name not in domains:
            raise UsageError(f"EVENTFOLD_INDEXES names {name!r}, which is not enabled; there are: {', '.join(domains)}")
    return names


def domains(only: list[str] | None) -> list[str]:
    """The names of the installed domains in the order of the alphabet.

    A domain is what declares schemas. UsageError for a name that is not installed, installed twice, or eventfold's own.
    """
    found: dict[str, str] = {}
    for point in entry_points(group=SCHEMAS):
        if point.name in own.NAMES:
            raise UsageError(
                f"{point.value} declares a domain called {point.name!r}: that is the name of eventfold's own messages"
            )
        if found.get(point.name, point.value) != point.value:
            raise UsageError(f"two packages declare the domain {point.name!r}: {found[point.name]} and {point.value}")
        found[checked_name(point.name, "domain")] = point.value
    for name in only or ():
        if name not in found:
            raise UsageError(f"EVENTFOLD_DOMAINS names {name!r}, which is not installed; there are: {', '.join(sorted(found))}")
    return sorted(found) if only is None else only


def _listed(environ: Mapping[str, str], setting: str) -> list[str]:
    return [name.strip() for name in environ.get(setting, "").split(",") if name.strip()]


def load(group: str, domain: str) -> Any | None:
    """What `domain` declares in `group`, or None when it declares nothing there; UsageError when it cannot be imported."""
    for point in entry_points(group=group, name=domain):
        try:
            return point.load()
        # Whatever another's module raises while it is imported, SystemExit included.
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {error}"
            raise UsageError(f"the domain {domain!r} cannot be loaded: {group} = {point.value}: {why}") from error
    return None
