"""Decided ids take turns in two parts by turns of eight days; a new turn empties the older one."""

from __future__ import annotations

from eventfold.store.commits import Changes
from eventfold.store.decided_ids import TURN_MS, Known
from eventfold.store.ledgers import AGGREGATES

EVEN, ODD = "ids_even", "ids_odd"


class Redis:
    """What commits leave behind: parts are dropped first, then rows are written."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, bytes | None]] = {}
        self.known = Known(0)

    def commit(self, *ids: tuple[float, str]) -> None:
        changes = Changes()
        for turns, command_id in ids:
            self.known.add(changes, int(turns * TURN_MS), command_id, b"proof")
        for part in changes.drops:
            self.parts.pop(part, None)
        for part, rows in changes.rows.items():
            self.parts.setdefault(part, {}).update(rows)
        self.known = Known(int((self.parts.get("state") or {}).get("turn") or 0))

    def ids(self) -> set[str]:
        return {command_id for part in (EVEN, ODD) for command_id in self.parts.get(part, {})}


def test_an_id_is_known_for_at_least_a_turn() -> None:
    redis = Redis()
    redis.commit((100.99, "late in turn 100"))
    redis.commit((101.0, "turn 101 begins"))
    assert redis.ids() == {"late in turn 100", "turn 101 begins"}
    redis.commit((101.98, "not quite a turn later"))
    assert "late in turn 100" in redis.ids()


def test_a_new_turn_empties_the_part_of_the_turn_before_last() -> None:
    redis = Redis()
    redis.commit((100.0, "a"), (100.5, "b"))
    redis.commit((101.5, "c"))
    redis.commit((102.0, "d"))
    assert redis.ids() == {"c", "d"}
    assert redis.known.turn == 102


def test_many_turns_in_one_commit_leave_the_last_two() -> None:
    redis = Redis()
    redis.commit((99.5, "stored"))
    redis.commit(*((turn + 0.5, f"turn {turn}") for turn in range(100, 107)))
    assert redis.ids() == {"turn 105", "turn 106"}


def test_one_commit_or_many_leave_the_same() -> None:
    decided = [(100 + step / 3, str(step)) for step in range(20)]
    once, often = Redis(), Redis()
    once.commit(*decided)
    for one in decided:
        often.commit(one)
    assert once.parts == often.parts


def test_quiet_turns_are_skipped() -> None:
    redis = Redis()
    redis.commit((100.5, "a"))
    redis.commit((102.5, "b"))
    assert redis.ids() == {"b"}
    redis.commit((105.5, "c"))
    assert redis.ids() == {"b", "c"}


def test_a_clock_that_goes_back_a_little_forgets_nothing() -> None:
    redis = Redis()
    redis.commit((100.9, "a"))
    redis.commit((101.0, "b"), (100.99, "a broker whose clock is behind"))
    assert redis.ids() == {"a", "b", "a broker whose clock is behind"}
    assert redis.known.turn == 101


def test_nothing_is_dropped_within_a_turn() -> None:
    changes, known = Changes(), Known(100)
    known.add(changes, 100 * TURN_MS + 1, "a", b"proof")
    assert (changes.drops, changes.rows) == ([], {EVEN: {"a": b"proof"}})


def test_a_new_turn_takes_no_aggregate_along() -> None:
    """Ids are forgotten; what the commands made of an aggregate never is."""
    redis = Redis()
    redis.commit((100.0, "a"))
    redis.parts[AGGREGATES] = {"account": b"state"}
    redis.commit((102.0, "b"))
    redis.commit((108.0, "c"))
    assert redis.ids() == {"c"}
    assert redis.parts[AGGREGATES] == {"account": b"state"}
