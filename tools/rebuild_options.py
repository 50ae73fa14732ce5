"""Options that several commands of a rebuild take."""

from __future__ import annotations

import math
import re

import click

_DURATION = re.compile(r"(\d{1,12})([smhd])", re.ASCII)
_LONGEST = 3_650 * 86_400_000
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def _duration(_ctx: click.Context, _param: click.Parameter, text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text[:100]!r} is no duration; write it as 90s, 30m, 24h or 7d")
    if (duration := int(match[1]) * _UNITS[match[2]]) > _LONGEST:
        raise click.BadParameter(f"{text!r} is more than {_LONGEST // _UNITS['d']} days")
    return duration


def _rate(_ctx: click.Context, _param: click.Parameter, rate: float | None) -> float | None:
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise click.BadParameter("it must be a number above zero")
    return rate


workers_option = click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that fold."
)
rate_option = click.option(
    "--max-events-per-second",
    "rate",
    type=float,
    callback=_rate,
    help="Fold no faster, to spare others.",
)
show_option = click.option("--show", "listed", default=20, show_default=True, type=click.IntRange(0), help="List so many.")
partition_option = click.option("--per-partition", is_flag=True, help="Show the progress of each partition.")
memory_option = click.option("--ignore-memory", is_flag=True, help="Go on although Redis has too little memory.")
keep_option = click.option(
    "--keep", default="24h", show_default=True, callback=_duration, help="How long to keep what was live, e.g. 30m, 24h, 7d."
)
