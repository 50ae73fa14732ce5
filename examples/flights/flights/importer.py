"""The importer: the real data as commands, in the order of their time."""

from __future__ import annotations

import heapq
import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import orjson

from eventfold import Position
from eventfold.producers.commands import Command
from eventfold.producers.write_side import WriteSide
from eventfold.schemas.errors import FAILED
from eventfold.schemas.ids import derived_id
from eventfold.schemas.terminal import say, say_json
from flights.dataset import Flight, count, flights, midnight

if TYPE_CHECKING:
    from rich.progress import Progress

SOURCE = "/eventfold/flights/import"
# Any fixed UUID will do, as long as it never changes: the ids of the commands follow from it.
_NAMESPACE = "6d1b8f4e-1c1f-5b0a-9a57-6e1f0f6f2013"


def import_months(write_side: WriteSide, months: list[int], *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Send the commands of these months, wait until all are decided, and say how many there were.

    The ids of the commands follow from the data: importing twice sends the same ids, and nothing is doubled. Counted are
    the refusals that were written meanwhile; a command refused by an earlier import keeps its refusal and is not counted
    again. Ends with 1 when any was refused.
    """
    # It reads the log, and with that come parts of Kafka's client that `eventfold --help` does not wait for.
    from eventfold.producers.decisions import Decisions

    decisions = Decisions(write_side.kafka, write_side.names, "flights")
    sender = write_side.sender(SOURCE, linger_ms=20)
    ends: dict[int, int] = {}

    def delivered(position: Position) -> None:
        ends[position.partition] = position.offset + 1

    total, sent, moved = count(months), 0, 0
    before = decisions.refusals_end()
    with _progress() as bar:
        sending = bar.add_task("flights sent", total=total)
        for command in commands(flights(months)):
            sender.send(command, delivered)
            sent += 1
            if command.type == "flights.ScheduleFlight":
                moved += 1
                if moved % 100 == 0:
                    bar.update(sending, completed=moved)
        sender.flush(timeout_s)
        bar.update(sending, completed=total)
        if wait:
            deciding = bar.add_task("commands decided", total=sent)
            for left in decisions.wait(ends, timeout_s):
                bar.update(deciding, completed=max(0, sent - left))
    refused = decisions.refusals_since(before, SOURCE_ID) if wait else None
    if as_json:
        say_json(orjson.dumps({"months": months, "flights": total, "commands": sent, "refused": refused}))
    else:
        decided = "" if refused is None else f", all decided; newly refused: {refused:,}"
        say(f"{total:,} flights, {sent:,} commands sent{decided}")
    if refused:
        sys.exit(FAILED)


SOURCE_ID = derived_id(_NAMESPACE, "import")


def commands(rows: Iterable[Flight]) -> Iterator[Command]:
    """The commands of flights given by day, in the order of their time; those of about a day are held.

    A flight is scheduled at the midnight, in New York, with which its day begins.
    """
    later: list[tuple[int, int, Command]] = []
    order = itertools.count()
    for flight_date, of_day in itertools.groupby(rows, key=lambda flight: flight.flight_date):
        start = midnight(flight_date)
        while later and later[0][0] < start:
            yield heapq.heappop(later)[2]
        for flight in sorted(of_day, key=lambda f: (f.scheduled_departure, f.id)):
            yield _schedule(flight, start)
            for command in _course(flight):
                heapq.heappush(later, (command.time, next(order), command))
    while later:
        yield heapq.heappop(later)[2]


def _schedule(flight: Flight, at: int) -> Command:
    return _command(
        flight,
        "flights.ScheduleFlight",
        at,
        {
            "carrier": flight.carrier,
            "flight_number": flight.flight_number,
            "flight_date": flight.flight_date,
            "origin": flight.origin,
            "destination": flight.destination,
            "tail_number": flight.tail_number,
            "scheduled_departure": flight.scheduled_departure,
            "scheduled_arrival": flight.scheduled_arrival,
            "distance_mi": flight.distance_mi,
        },
    )


def _course(flight: Flight) -> Iterator[Command]:
    if flight.departed_at is None:
        # When it was cancelled the data does not say.
        at = flight.scheduled_departure
        yield _command(flight, "flights.CancelFlight", at, {"cancelled_at": at})
        return
    yield _command(
        flight,
        "flights.DepartFlight",
        flight.departed_at,
        {"departed_at": flight.departed_at, "departure_delay_min": flight.departure_delay_min, "tail_number": None},
    )
    if flight.arrived_at is not None:
        yield _command(
            flight,
            "flights.ArriveFlight",
            flight.arrived_at,
            {
                "arrived_at": flight.arrived_at,
                "arrival_delay_min": flight.arrival_delay_min,
                "air_time_min": flight.air_time_min,
            },
        )
    elif flight.diverted_at is not None:
        # Where it landed the data does not say.
        data: dict[str, object] = {"diverted_at": flight.diverted_at, "diverted_to": None}
        yield _command(flight, "flights.DivertFlight", flight.diverted_at, data)


def _command(flight: Flight, type_: str, at: int, data: dict[str, object]) -> Command:
    return Command(
        type=type_,
        key=flight.id,
        data=data,
        id=derived_id(_NAMESPACE, f"{flight.id}/{type_}"),
        time=at,
        correlation_id=SOURCE_ID,
        noreply=True,
    )


def _progress() -> Progress:
    # Imported here, so that `eventfold --help` does not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
