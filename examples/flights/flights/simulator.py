"""The simulator: a day of the real data, played as another day in accelerated time."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import orjson

from eventfold import UsageError
from eventfold.producers.commands import Command, CommandSender
from eventfold.producers.write_side import WriteSide
from eventfold.schemas.errors import INTERRUPTED
from eventfold.schemas.ids import derived_id
from eventfold.schemas.terminal import say, say_json
from eventfold.schemas.times import iso_day
from flights.dataset import NEW_YORK, YEAR, Flight, flight_id, flights_of, midnight
from flights.importer import commands

if TYPE_CHECKING:
    from rich.progress import Progress

SOURCE = "/eventfold/flights/simulate"
BUSY = "2013-11-27"
"""The day before Thanksgiving."""
# Any fixed UUID will do, as long as it never changes: the ids of the commands follow from it.
_NAMESPACE = "0c2f4a36-8a51-5a0e-8f9e-5d0f3a1b7c44"
_SOURCE_ID = derived_id(_NAMESPACE, "simulate")
_LINGER_MS = 5
_EPOCH_DAY = date(1970, 1, 1).toordinal()
Tell = Callable[[Command], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What passes while a day is played: seconds, and how to wait for some."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def plan(day: int, played: int, airport: str | None = None) -> list[Command]:
    """The commands of a day of the data as those of another day, in the order of their time.

    day, played: in days since 1970; played: the day it becomes, whose clocks in New York show the same times. airport: of the
    departures, by default all three. The commands' ids follow from both days: playing one twice sends the same.
    UsageError for a day that the data does not have or that an import brings, and for an airport without departures.
    """
    date_ = _within(day, "--date", inside=True)
    _within(played, "--as", inside=False)
    of_day = list(flights_of(date_))
    origins = sorted({flight.origin for flight in of_day})
    if airport is not None and airport not in origins:
        raise UsageError(f"--airport {airport}: the data has departures from {', '.join(origins)}")
    chosen = (flight for flight in of_day if airport in (None, flight.origin))
    return [_own(command, day) for command in commands(moved(chosen, played))]


def moved(rows: Iterable[Flight], played: int) -> Iterator[Flight]:
    """Flights on another day, at the same times after the midnight in New York with which it begins."""
    for flight in rows:
        shift = midnight(played) - midnight(flight.flight_date)
        times: dict[str, Any] = {
            name: None if (at := getattr(flight, name)) is None else at + shift
            for name in ("scheduled_departure", "scheduled_arrival", "departed_at", "arrived_at", "diverted_at")
        }
        id_ = flight_id(flight.carrier, flight.flight_number, iso_day(played), flight.origin)
        yield dataclasses.replace(flight, id=id_, flight_date=played, **times)


def play(planned: list[Command], begin: int, speed: float, sender: CommandSender, tell: Tell, clock: Clock) -> None:
    """Send each command when its time has come; what lies before `begin` at once.

    begin: the simulated time (ms since 1970 UTC) at which the play begins. speed: simulated seconds a second. tell: told of
    each command that was sent.
    """
    started = clock.now()
    for command in planned:
        due = started + (command.time - begin) / 1_000 / speed
        wait = due - clock.now()
        if wait > 0:
            # What was due must not lie here meanwhile.
            sender.flush()
            clock.sleep(wait)
        sender.send(command)
        tell(command)
    sender.flush()


def simulate(
    write_side: WriteSide, planned: list[Command], begin: int | None, speed: float, *, as_json: bool, clock: Clock | None = None
) -> None:
    """Play a plan and say what was sent; interrupted, up to where, and end with 130. begin: by default the first departure."""
    first = next((command.time for command in planned if command.type != "flights.ScheduleFlight"), 0)
    begin = first if begin is None else begin
    sender = write_side.sender(SOURCE, linger_ms=_LINGER_MS)
    sent = 0
    with _progress() as bar:
        playing = bar.add_task("", total=len(planned), at="")

        def tell(command: Command) -> None:
            nonlocal sent
            sent += 1
            bar.update(playing, completed=sent, at=_shown(max(command.time, begin)))

        try:
            play(planned, begin, speed, sender, tell, clock or Clock())
        except KeyboardInterrupt:
            bar.stop()
            sender.flush()
            at = _shown(max(planned[min(sent, len(planned) - 1)].time, begin))
            # Behind the midnight there is no time of the day to name.
            again = at[-5:] if at[:10] == _shown(planned[0].time)[:10] else "23:59"
            say(
                f"interrupted: {sent:,} of {len(planned):,} commands were sent; the next one is of {at} in New York: "
                f"go on with --from {again}",
                err=True,
            )
            sys.exit(INTERRUPTED)
    scheduled = sum(command.type == "flights.ScheduleFlight" for command in planned)
    if as_json:
        say_json(orjson.dumps({"flights": scheduled, "commands": sent}))
    else:
        say(f"{scheduled:,} flights played, {sent:,} commands sent")


def moment(played: int, clock: str) -> int:
    """A time of the played day by the clocks in New York, `HH:MM`, in ms since 1970 UTC; UsageError for anything else."""
    try:
        at = datetime.strptime(clock, "%H:%M")
    except ValueError:
        raise UsageError(f"--from {clock!r}: write a time of the day as 05:30") from None
    day = date.fromordinal(played + _EPOCH_DAY)
    local = datetime(day.year, day.month, day.day, at.hour, at.minute, tzinfo=NEW_YORK)
    return int(local.timestamp() * 1_000)


def today() -> int:
    """The day in New York, in days since 1970."""
    return datetime.now(NEW_YORK).date().toordinal() - _EPOCH_DAY


def _own(command: Command, day: int) -> Command:
    return dataclasses.replace(command, id=derived_id(_NAMESPACE, f"{day}/{command.id}"), correlation_id=_SOURCE_ID)


def _within(day: int, option: str, *, inside: bool) -> date:
    found = date.fromordinal(day + _EPOCH_DAY)
    if inside and found.year != YEAR:
        raise UsageError(f"{option} {found}: the data is of {YEAR}")
    if not inside and found.year == YEAR:
        raise UsageError(
            f"{option} {found}: the flights of {YEAR} are what `eventfold flights import` brings; take another year"
        )
    return found


def _shown(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M")


def _progress() -> Progress:
    # Imported here, so that `eventfold --help` does not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.fields[at]}"), BarColumn(), TextColumn("{task.completed:,} of {task.total:,} commands"))
    return Progress(*columns, console=console, disable=not console.is_terminal)
