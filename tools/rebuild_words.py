"""What a replay or a comparison came to, as people are told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eventfold.processors.rebuild.compare import Comparison
from eventfold.processors.rebuild.report import Report
from eventfold.projections.difference import Difference
from eventfold.schemas.record import Place
from eventfold.schemas.terminal import line, say
from eventfold.tools.show import show

_SHORT = 60
_MOST_KEYS = 5


def tell(report: Report) -> None:
    """What came of a replay."""
    rate = report.events / report.seconds if report.seconds else 0
    say(f"folded {report.events:,} events in {report.seconds:.1f} s ({rate:,.0f} events/s) into {report.build.id}")
    if not report.build.whole:
        say("this is not the whole history")
    for skip in report.passed_over:
        say(f"passed over {skip}, which nobody can read: {line(skip.why)}")
    if report.comparison is not None:
        tell_differences(report.comparison)
    if report.switched is None:
        name = report.build.generation.projection
        say(f"not live, {report.why}; look at it with `eventfold query {name} --generation {report.build.id}`, then")
        live = "" if report.build.last else f"`eventfold replay {name} --resume --switch always` or "
        say(f"{live}`eventfold replay {name} --abort`")
        return
    kept = report.switched.kept
    say(f"live now; the live slices were held for {report.switched.held_ms:.0f} ms")
    if kept is not None:
        say(f"{kept.id} is kept for a rollback; `eventfold generations {kept.generation.projection}` says until when")


def tell_kept(name: str, cut: Mapping[Place, int], as_json: bool) -> None:
    """What came of going on with the live rows of a log that was cut."""
    begins = {f"{topic}/{partition}": start for (topic, partition), start in sorted(cut.items())}
    if as_json:
        show({"projection": name, "begins": begins}, True)
        return
    for place, start in begins.items():
        say(f"{place} begins at offset {start}: {name} keeps its rows of what is gone, which cannot be folded anew")
    say(f"start its projector again: `eventfold run projector {name}`")


def tell_differences(found: Comparison) -> None:
    """What came of a comparison."""
    _tell_parked(found)
    if not found.different:
        if found.by_digest == found.slices:
            say(f"equal by their digests ({found.slices} slices; no row was read, `eventfold verify` reads them)")
        else:
            say(f"equal: every row is the same ({found.slices} slices, {found.rows:,} rows read)")
        return
    for (part, kind), count in sorted(found.counts.items()):
        say(f"{part}: {count:,} {kind}")
    list_differences(found.differences)
    if len(found.differences) < found.different:
        say(f"and {found.different - len(found.differences):,} more (--show)")


def _tell_parked(found: Comparison) -> None:
    """Keys that are parked on one side alone: what is parked is not folded, so its rows differ."""
    by: dict[str, list[str]] = {}
    for apart in found.parked:
        where = "in both, but not from the same event on"
        if apart.built is None:
            where = "in the live generation and not in the new one"
        elif apart.live is None:
            where = "in the new generation and not in the live one"
        by.setdefault(where, []).append(apart.key)
    for where, keys in by.items():
        named = ", ".join(map(line, keys[:_MOST_KEYS])) + (", …" if len(keys) > _MOST_KEYS else "")
        what = "1 key is" if len(keys) == 1 else f"{len(keys):,} keys are"
        say(f"{what} parked {where}, so rows may differ: {named}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def list_differences(differences: Sequence[Difference]) -> None:
    """A line a field that differs; what is long is cut, JSON has all of it."""
    rows: list[dict[str, Any]] = []
    for difference in differences:
        # A member of an index is shown as its parts and the key.
        key = difference.shown.replace("\0\0", " ").replace("\0", "|")
        common = {"table": difference.part, "key": key, "difference": difference.kind}
        for field, (is_, should) in list(difference.fields.items()) or [("", (None, None))]:
            rows.append({**common, "field": field, "is": _short(is_), "should": _short(should)} if field else common)
    if rows:
        show(rows, False)
