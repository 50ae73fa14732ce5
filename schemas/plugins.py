"""Domains found by entry points: one group a room, one name a domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
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

    A domain is what declares schemas. UsageError for a name that is not installed, installed twice, or eventfold's own, and for
    a domain whose package of schemas has no file.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=SCHEMAS):
        if point.name in own.NAMES:
            raise UsageError(
                f"{point.value} declares a domain called {point.name!r}: that is the name of eventfold's own messages"
            )
        other = found.setdefault(checked_name(point.name, "domain"), point)
        if other.value != point.value:
            raise UsageError(f"two packages declare the domain {point.name!r}: {other.value} and {point.value}")
    for name in only or ():
        if name not in found:
            raise UsageError(f"EVENTFOLD_DOMAINS names {name!r}, which is not installed; there are: {', '.join(sorted(found))}")
    names = sorted(found) if only is None else only
    for name in names:
        _refuse_empty(found[name])
    return names


def _refuse_empty(point: EntryPoint) -> None:
    """Without a look into the package itself, which takes longer than many a command."""
    try:
        spec = find_spec(point.module)
    # Whatever the package around it raises: it is told where the domain is loaded.
    except (Exception, SystemExit):
        spec = None
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent
    if not any(folder.glob("commands/*.avsc")) and not any(folder.glob("events/*.avsc")):
        data = '"*" = ["commands/*.avsc", "events/*.avsc", "released.txt"]'
        raise UsageError(
            f"the domain {point.name!r} has no schemas: {folder} holds neither commands/*.avsc nor events/*.avsc. Where the "
            f"sources have them, the distribution was built without them: say `{data}` under [tool.setuptools.package-data] in "
            "its pyproject.toml, and install it again. EVENTFOLD_DOMAINS says which domains are wanted"
        )


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
