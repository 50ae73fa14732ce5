"""Comparing what was folded with what the data says."""

from __future__ import annotations

from tests.support import expected, log
from tests.support.sandbox import Sandbox


def assert_exact(
    sandbox: Sandbox, month: int = 1, days: int = 31, projections: tuple[str, ...] = ("flights", "punctuality")
) -> None:
    """The log and these read models hold the month, or its first days, once: nothing lost, nothing twice."""
    assert_log(sandbox, month, days)
    if "punctuality" in projections:
        assert_punctuality(sandbox, month, days)
    if "flights" in projections:
        assert_flights(sandbox, month, days)


def assert_log(sandbox: Sandbox, month: int = 1, days: int = 31) -> None:
    """The events, read committed, are those of the month: so many of each type, and no id twice."""
    events = log.read(sandbox, "flights.events")
    ids = {event.header("ce_id") for event in events}
    found = log.count_by_type(events)
    assert found == {f"flights.{name}": count for name, count in expected.month(month, days).events.items()}
    assert len(ids) == len(events)


def assert_punctuality(sandbox: Sandbox, month: int = 1, days: int = 31) -> None:
    for by, groups in expected.month(month, days).by.items():
        found = sandbox.client.query("punctuality", by=by)
        shown = {row[by]: {name: row[name] for name in expected.NUMBERS} for row in found}
        assert shown == {key: {name: numbers[name] for name in expected.NUMBERS} for key, numbers in groups.items()}


def assert_flights(sandbox: Sandbox, month: int = 1, days: int = 31) -> None:
    rows = sandbox.rows("flights")
    wanted = expected.month(month, days).flights
    assert rows.keys() == wanted.keys()
    different = {id_: (row, rows[id_]) for id_, row in wanted.items() if {name: rows[id_][name] for name in row} != row}
    assert not different, dict(list(different.items())[:3])
