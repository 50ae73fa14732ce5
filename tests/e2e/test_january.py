"""What people and programs see of January."""

from __future__ import annotations

import pytest

from tests.support import expected
from tests.support.sandbox import Sandbox

PERCENTILES = {f"{which}_delay_p{percent}_min" for which in ("dep", "arr") for percent in (50, 90, 99)}


@pytest.mark.parametrize("by", ["carrier", "origin", "month"])
def test_punctuality_as_json(january: Sandbox, by: str) -> None:
    shown = january.json("query", "punctuality", "--by", by)
    groups = expected.month(1).by[by]
    assert [row[by] for row in shown] == sorted(groups)
    for row in shown:
        assert row.keys() == {by, *expected.NUMBERS} | PERCENTILES
        assert {name: row[name] for name in expected.NUMBERS} == {name: groups[row[by]][name] for name in expected.NUMBERS}
        assert row["dep_delay_p50_min"] <= row["dep_delay_p90_min"] <= row["dep_delay_p99_min"]


def test_punctuality_is_by_carrier_unless_said_otherwise(january: Sandbox) -> None:
    assert january.json("query", "punctuality") == january.json("query", "punctuality", "--by", "carrier")


def test_punctuality_as_a_table(january: Sandbox) -> None:
    lines = january.ok("query", "punctuality").splitlines()
    united = next(line for line in lines if line.startswith("UA")).split()
    assert int(united[1].replace(",", "")) == expected.month(1).by["carrier"]["UA"]["scheduled"]
    assert len(lines) == 1 + len(expected.month(1).by["carrier"])


def test_percentiles_are_those_of_the_data(january: Sandbox) -> None:
    delays = sorted(
        row["departure_delay_min"]
        for id_, row in expected.month(1).flights.items()
        if id_.startswith("UA") and row["departure_delay_min"] is not None
    )
    united = next(row for row in january.json("query", "punctuality") if row["carrier"] == "UA")
    for percent in (50, 90, 99):
        assert united[f"dep_delay_p{percent}_min"] == delays[-(-len(delays) * percent // 100) - 1]


def test_lag_is_0_when_only_markers_remain_and_no_daemon_runs(january: Sandbox) -> None:
    rows = january.json("lag")
    assert {row["name"] for row in rows} == {"flights.handler", "flights", "board", "punctuality", "aircraft"}
    # Of a handler those of the internal commands too.
    assert len(rows) == 6 * 6
    assert {row["lag"] for row in rows} == {0}
    assert rows[0].keys() == {"name", "topic", "partition", "offset", "end", "lag"}


def test_digests_are_equal_each_time(january: Sandbox) -> None:
    first = january.json("digest")
    assert [row["projection"] for row in first] == ["aircraft", "board", "flights", "punctuality"]
    assert next(row["rows"] for row in first if row["projection"] == "flights") == 27_004
    assert january.json("digest") == first
    assert january.json("digest", "board") == [row for row in first if row["projection"] == "board"]


def test_status_without_daemons(january: Sandbox) -> None:
    assert january.json("status") == []
    assert "eventfold run all" in january.run("status").stderr
