"""The pure parts of a rebuild: digests that move with the rows, differences, shares of the work."""

from __future__ import annotations

import random
import threading

import orjson
import pytest

from eventfold.processors.rebuild.builder import Throttle
from eventfold.processors.rebuild.workers import shared
from eventfold.projections.difference import CHANGED, EXTRA, MISSING, between
from eventfold.projections.fold import Fold
from eventfold.projections.projection import Projection, Table
from eventfold.schemas.event import Event
from eventfold.store.digests import MODULUS, moved, row_digest
from eventfold.store.rows import Row


def counting() -> Projection:
    """Counts, deletes a row at every multiple of five, and leaves some events out."""
    projection = Projection(name="counts", version=1, topics=("t",), tables=(Table(name="counts"), Table(name="sums")))

    @projection.on("t.Counted")
    def counted(row: Row | None, event: Event) -> Row | None:
        row = row or {"n": 0}
        row["n"] += event.data["by"]
        return None if row["n"] % 5 == 0 else row

    @projection.on("t.Counted", table="sums", key=lambda event: None if event.data["by"] > 7 else "all")
    def summed(row: Row | None, event: Event) -> Row:
        return {"sum": (row or {"sum": 0})["sum"] + event.data["by"]}

    return projection


@pytest.mark.parametrize("held", [0, 2, 1_000])
def test_the_digests_that_a_fold_moves_are_those_of_its_rows(held: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    fold, rows = Fold(counting(), held), {"counts": {}, "sums": {}}  # type: ignore[var-annotated]
    digests = dict.fromkeys(rows, 0)
    for _ in range(40):
        batch = [
            Event("t.Counted", f"k{chance.randrange(30)}", {"by": chance.randrange(1, 10)}) for _ in range(chance.randrange(9))
        ]
        changes = fold.apply(batch, lambda table, keys: [rows[table].get(key) for key in keys])
        for table, changed in changes.rows.items():
            rows[table].update(changed)
        after = moved(digests, changes.digests)
        assert after is not None
        digests = dict(after)
        assert digests == {
            table: sum(row_digest(key, row) for key, row in of.items() if row is not None) % MODULUS
            for table, of in rows.items()
        }
    assert any(row is None for row in rows["counts"].values()), "no row was ever deleted"


def test_what_is_unknown_stays_so() -> None:
    assert moved(None, {"a": 1}) is None
    assert moved({"a": MODULUS - 1}, {"a": 2, "b": 3}) == {"a": 1, "b": 3}


def test_key_and_row_do_not_run_into_each_other() -> None:
    assert row_digest("a", b"b{}") != row_digest("ab", b"{}")


def test_a_difference_names_each_field_with_what_it_is_and_what_it_should_be() -> None:
    is_, should = {"a": 1, "b": {"x": 1, "y": 2}, "c": [1]}, {"a": 1, "b": {"x": 1, "y": 3}, "d": None, "c": [2]}
    found = between("t", 0, "rows", "k", orjson.dumps(is_), orjson.dumps(should))
    assert found is not None
    assert found.kind == CHANGED
    assert found.fields == {"b.y": (2, 3), "c": ([1], [2])}
    assert found.to_json()["fields"] == {"b.y": {"is": 2, "should": 3}, "c": {"is": [1], "should": [2]}}


def test_a_row_that_is_no_json_is_a_difference_as_well() -> None:
    found = between("t", 0, "rows", "k", b"\xffnot json", b'{"a":1}')
    assert found is not None and found.kind == CHANGED and found.fields["row"][1] == {"a": 1}


def test_other_bytes_with_the_same_fields_are_a_difference() -> None:
    found = between("t", 0, "rows", "k", b'{"a": 1}', b'{"a":1,"b":null}')
    assert found is not None and found.fields == {"row": ('{"a": 1}', '{"a":1,"b":null}')}


def test_missing_extra_and_equal() -> None:
    missing, extra = between("t", 0, "r", "k", None, b"{}"), between("t", 0, "r", "k", b"{}", None)
    assert missing is not None and extra is not None
    assert (missing.kind, extra.kind) == (MISSING, EXTRA)
    assert between("t", 0, "r", "k", b"{}", b"{}") is None


def test_workers_share_the_work_evenly() -> None:
    left = {("t", 0): 10, ("t", 1): 9, ("t", 2): 2, ("t", 3): 2, ("t", 4): 1}
    assert shared(left, 2) == [[("t", 0), ("t", 3)], [("t", 1), ("t", 2), ("t", 4)]]
    assert shared(left, 9) == [[place] for place in left]


def test_a_throttle_takes_as_long_as_its_rate_says() -> None:
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0)
            return False

    throttle = Throttle(100, Stop())
    assert throttle.limit(5_000) == 25
    throttle.took(25)
    throttle.took(25)
    assert 0.4 < waited[1] <= 0.5
    assert Throttle(None, Stop()).limit(5_000) == 5_000
