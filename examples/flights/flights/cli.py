"""`eventfold flights …`: the commands of one flight, and the import of the real data."""

from __future__ import annotations

import math
import re
from typing import Any

import click

from eventfold import UsageError
from eventfold.producers.cli import TIME, begun, command_options, pass_write_side, submit
from eventfold.producers.write_side import WriteSide
from eventfold.schemas.times import day, iso_day
from flights.dataset import flight_id
from flights.importer import import_months
from flights.simulator import BUSY, moment, plan, today
from flights.simulator import simulate as play

_ID = re.compile(r"[A-Z0-9]{2}\d{1,4}:\d{4}-\d{2}-\d{2}:[A-Z]{3}")


class FlightId(click.ParamType):  # type: ignore[type-arg]
    """<carrier><number>:<date>:<origin>, e.g. UA1545:2013-01-01:EWR."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).upper()
        if _ID.fullmatch(text) is None:
            self.fail(f"{value!r} is not a flight; write <carrier><number>:<date>:<origin>, e.g. UA1545:2013-01-01:EWR")
        return text


class Code(click.ParamType):  # type: ignore[type-arg]
    """An IATA code of so many characters."""

    name = "code"

    def __init__(self, length: int) -> None:
        self._length = length

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).upper()
        if len(text) != self._length or not text.isascii() or not text.isalnum():
            self.fail(f"{value!r} is not a code of {self._length} letters")
        return text


@click.group()
def group() -> None:
    """Schedule flights and record what became of them."""


@group.command()
@click.option("--carrier", type=Code(2), required=True)
@click.option("--number", type=click.IntRange(1, 9999), required=True)
@click.option("--date", required=True, help="Day of scheduled departure, local to the origin.")
@click.option("--origin", type=Code(3), required=True)
@click.option("--destination", type=Code(3), required=True)
@click.option("--departure", type=TIME, required=True, help="Scheduled departure, e.g. 2013-01-01T10:15:00Z.")
@click.option("--arrival", type=TIME, required=True, help="Scheduled arrival.")
@click.option("--distance", type=int, required=True, help="Statute miles.")
@click.option("--tail", help="Tail number of the aircraft.")
@command_options
@pass_write_side
def schedule(
    write_side: WriteSide,
    carrier: str,
    number: int,
    date: str,
    origin: str,
    destination: str,
    departure: int,
    arrival: int,
    distance: int,
    tail: str | None,
    options: dict[str, Any],
) -> None:
    """Put a flight on the schedule."""
    days = day(date)
    data = {
        "carrier": carrier,
        "flight_number": number,
        "flight_date": days,
        "origin": origin,
        "destination": destination,
        "tail_number": tail,
        "scheduled_departure": departure,
        "scheduled_arrival": arrival,
        "distance_mi": distance,
    }
    submit(write_side, "flights.ScheduleFlight", flight_id(carrier, number, iso_day(days), origin), data, options)


@group.command()
@click.argument("id", type=FlightId())
@click.option("--at", type=TIME, required=True, help="When it left the gate.")
@click.option("--delay", type=int, help="Minutes; must agree with the times.")
@click.option("--tail", help="Tail number, if another aircraft flew than planned.")
@command_options
@pass_write_side
def depart(write_side: WriteSide, id: str, at: int, delay: int | None, tail: str | None, options: dict[str, Any]) -> None:
    """Record a departure."""
    data = {"departed_at": at, "departure_delay_min": delay, "tail_number": tail}
    submit(write_side, "flights.DepartFlight", id, data, options, at=at)


@group.command()
@click.argument("id", type=FlightId())
@click.option("--at", type=TIME, required=True, help="When it reached the gate.")
@click.option("--delay", type=int, help="Minutes; must agree with the times.")
@click.option("--air-time", type=int, help="Minutes in the air.")
@command_options
@pass_write_side
def arrive(write_side: WriteSide, id: str, at: int, delay: int | None, air_time: int | None, options: dict[str, Any]) -> None:
    """Record an arrival."""
    data = {"arrived_at": at, "arrival_delay_min": delay, "air_time_min": air_time}
    submit(write_side, "flights.ArriveFlight", id, data, options, at=at)


@group.command()
@click.argument("id", type=FlightId())
@click.option("--at", type=TIME, help="When it was cancelled; now, if not given.")
@command_options
@pass_write_side
def cancel(write_side: WriteSide, id: str, at: int | None, options: dict[str, Any]) -> None:
    """Record that a flight will not depart."""
    at = begun(options, "give --at too") if at is None else at
    submit(write_side, "flights.CancelFlight", id, {"cancelled_at": at}, options, at=at)


@group.command()
@click.argument("id", type=FlightId())
@click.option("--at", type=TIME, help="When it was diverted; now, if not given.")
@click.option("--to", type=Code(3), help="The airport where it landed, where it is known.")
@command_options
@pass_write_side
def divert(write_side: WriteSide, id: str, at: int | None, to: str | None, options: dict[str, Any]) -> None:
    """Record that a flight ended elsewhere than planned."""
    at = begun(options, "give --at too") if at is None else at
    submit(write_side, "flights.DivertFlight", id, {"diverted_at": at, "diverted_to": to}, options, at=at)


@group.command("import")
@click.option("--months", default="1-12", show_default=True, help="Months of 2013: 1, 1-3 or 1,4,7.")
@click.option("--wait/--no-wait", default=True, help="Wait until every command is decided.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds without progress before the wait is given up.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_write_side
def import_(write_side: WriteSide, months: str, wait: bool, timeout: float, as_json: bool) -> None:
    """Send the real data as commands in the order of their time. Safe to run again.

    Counts the refusals that are new with this run, and ends with 1 when there are any.
    """
    import_months(write_side, parse_months(months), wait=wait, timeout_s=timeout, as_json=as_json)


@group.command()
@click.option("--date", "of", default=BUSY, show_default=True, help="The day of 2013 that is played.")
@click.option("--as", "played", metavar="DATE", help="The day it is played as; by default today in New York.")
@click.option(
    "--speed",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds of the day that pass in a second.",
)
@click.option("--from", "begin", metavar="HH:MM", help="When the play begins, in New York; what lies before is sent at once.")
@click.option("--airport", type=Code(3), help="Departures from this one alone (EWR, JFK, LGA).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_write_side
def simulate(
    write_side: WriteSide, of: str, played: str | None, speed: float, begin: str | None, airport: str | None, as_json: bool
) -> None:
    """Play a day of the real data as another day, in accelerated time, so that a board lives. Safe to run again."""
    if math.isnan(speed):
        raise UsageError("--speed nan: write a number above 0")
    as_day = today() if played is None else day(played)
    planned = plan(day(of), as_day, airport)
    play(write_side, planned, None if begin is None else moment(as_day, begin), speed, as_json=as_json)


def parse_months(text: str) -> list[int]:
    """`1`, `1-3` or `1,4,7-9` as months in order; UsageError for anything else."""
    months: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,2})(?:-(\d{1,2}))?\s*", part)
        if match is None:
            raise UsageError(f"--months {text!r}: write 1, 1-3 or 1,4,7")
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= 12:
            raise UsageError(f"--months {text!r}: months are 1 to 12, the smaller one first")
        months.update(range(low, high + 1))
    return sorted(months)
