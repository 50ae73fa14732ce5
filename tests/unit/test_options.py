"""What options of the command line are read as."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from click import BadParameter, Context

from accounts.cli import AMOUNT, CODE, ID
from eventfold.processors.projector.projecting import _places
from eventfold.producers.cli import TIME
from eventfold.schemas.errors import UsageError
from eventfold.schemas.position import Position
from eventfold.store.outcomes import Outcome
from eventfold.tools.log.tail_cli import tail
from eventfold.tools.log.told import _number
from eventfold.tools.query_cli import _past_options
from eventfold.tools.rebuild_options import _duration
from eventfold.tools.run_cli import _numbers
from flights.cli import Code, FlightId


def test_partitions_to_pin() -> None:
    assert _numbers("0,3") == [0, 3]
    assert _places({"a": 6, "b": 4}, [3, 0, 3]) == [("a", 0), ("a", 3), ("b", 0), ("b", 3)]
    with pytest.raises(UsageError, match="write numbers with commas between"):
        _numbers("0-3")
    with pytest.raises(UsageError, match="b has the partitions 0 to 3, not 5"):
        _places({"a": 6, "b": 4}, [5])
    with pytest.raises(UsageError, match="not -1"):
        _places({"a": 6}, [-1])


def test_times() -> None:
    assert TIME.convert("2013-01-01T05:17:00-05:00", None, None) == 1357035420000
    assert TIME.convert("now", None, None) > 1_700_000_000_000
    with pytest.raises(UsageError, match="is not a time"):
        TIME.convert("soon", None, None)


def test_flight_ids_and_codes() -> None:
    assert FlightId().convert("ua1545:2013-01-01:ewr", None, None) == "UA1545:2013-01-01:EWR"
    assert Code(3).convert("jfk", None, None) == "JFK"
    for type_, text in ((FlightId(), "UA1545"), (Code(3), "JF"), (Code(2), "\u00dcA")):
        with pytest.raises(Exception, match="is not a"):
            type_.convert(text, None, None)


def test_amounts_currencies_and_ids_of_accounts() -> None:
    assert AMOUNT.convert("100.00", None, None) == Decimal(100)
    assert CODE.convert("eur", None, None) == "EUR"
    assert ID.convert("savings of \u00c9mile/1", None, None) == "savings of \u00c9mile/1"
    for text in ("0", "0.00", "-1", "1e3", "NaN", "1,5", "1.00001", "9" * 15, ""):
        with pytest.raises(BadParameter, match=r"is not a|has more than"):
            AMOUNT.convert(text, None, None)
    for text in ("EURO", "E1R", "\u00dcAB", ""):
        with pytest.raises(BadParameter, match="is not a currency"):
            CODE.convert(text, None, None)
    for text in ("", "a\tb", "x" * 513):
        with pytest.raises(BadParameter, match="is not an aggregate's id"):
            ID.convert(text, None, None)


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (
            Outcome(command_id="c", accepted=True, version=3, positions=(Position("e", 1, 4), Position("e", 1, 5))),
            {"command_id": "c", "outcome": "accepted", "version": 3, "positions": ["e/1@4", "e/1@5"]},
        ),
        (
            Outcome(command_id="c", accepted=False, version=0, code="not-scheduled", message="never"),
            {"command_id": "c", "outcome": "refused", "version": 0, "code": "not-scheduled", "message": "never"},
        ),
        (
            Outcome(command_id="c", accepted=False, code="undecodable", message="?"),
            {"command_id": "c", "outcome": "refused", "code": "undecodable", "message": "?"},
        ),
    ],
)
def test_an_outcome_as_programs_read_it(outcome: Outcome, shown: dict[str, object]) -> None:
    assert outcome.to_json() == shown
    assert Outcome.parse(orjson.dumps(shown)) == outcome


@pytest.mark.parametrize("digits", ["9" * 20, "9" * 4_400])
def test_a_number_of_very_many_digits_is_a_wrong_value(digits: str) -> None:
    for text in (f"a/0@{digits}", f"a/{digits}@0", "a/0@\u0661"):
        with pytest.raises(UsageError, match="is not a position") as told:
            Position.parse(text)
        assert len(str(told.value)) < 500
    options = {name: param for param in [*_past_options(), *tail.params] for name in param.opts}
    for option in ("--as-of-version", "--number"):
        with pytest.raises(BadParameter):
            options[option].type_cast_value(Context(tail), digits)
    with pytest.raises(BadParameter, match="is no duration"):
        _duration(Context(tail), options["--number"], f"{digits}d")


def test_a_sequence_of_very_many_digits_is_shown_as_text() -> None:
    """As any other header that is no number."""
    assert _number("9" * 18) == int("9" * 18)
    assert _number("9" * 4_400) == "9" * 4_400
