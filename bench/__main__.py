"""`python -m bench`: measure, and report each figure beside its baseline and its target."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import click

from bench import decode, handler, handlers, latency, projector, rebuild, replay, report, serve
from bench.log import create_topics, import_months, scan, with_prefix
from bench.stack import own_stack
from eventfold.installation import Installation

ALL = ("decode", "projector", "memory", "rebuild", "replay", "handler", "handlers", "latency", "serve")
_MONTHS = re.compile(r"(\d+)(?:-(\d+))?")


def _months(_ctx: click.Context, _param: click.Parameter, text: str | None) -> list[int] | None:
    if text is None:
        return None
    match = _MONTHS.fullmatch(text)
    months = list(range(int(match[1]), int(match[2] or match[1]) + 1)) if match else []
    if not months or months[0] < 1 or months[-1] > 12:
        raise click.BadParameter("write a month or two of them with a dash between, e.g. 1-12")
    return months


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(ALL), multiple=True, help="Measure only this; may be given several times.")
@click.option("--months", callback=_months, help="The months of 2013 in the log, e.g. 1-3.  [default: 1-12; --quick: 1]")
@click.option("--events", type=click.IntRange(min=10_000), help="Fold at most so many events; by default the whole log.")
@click.option("--rounds", type=click.IntRange(min=1), help="Repeats of each measurement.  [default: 3; --quick: 2]")
@click.option("--quick", is_flag=True, help="Small sizes, to see that it works; its figures are no evidence.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to a file too.")
def main(
    only: tuple[str, ...],
    months: list[int] | None,
    events: int | None,
    rounds: int | None,
    quick: bool,
    json_file: Path | None,
) -> None:
    """Measure eventfold on a stack of its own. Exit code 0 when all was measured, whatever the verdicts."""
    started, wanted = time.monotonic(), only or ALL
    months = months or ([1] if quick else list(range(1, 13)))
    rounds = rounds or (2 if quick else 3)
    figures: list[report.Figure] = []
    with own_stack() as environ:
        os.environ.update(environ)
        redis = Installation(environ).redis
        on = report.machine(redis)
        if "decode" in wanted:
            _say("decode")
            figures += decode.measure(20_000 if quick else 100_000, rounds)
        if {"projector", "memory", "rebuild"} & set(wanted):
            figures += _folding(environ, wanted, months, events, rounds, quick)
        redis.flushall()
        if "replay" in wanted:
            _say("replay of all four with the daemons live and an import running")
            figures += replay.measure(environ, months)
        redis.flushall()
        if "handler" in wanted:
            _say("handler")
            figures += handler.measure(environ, [1], 20_000 if quick else 80_000, rounds)
        redis.flushall()
        if "handlers" in wanted:
            _say("several handlers, and conflicts")
            figures += handlers.measure(environ, [1], 20_000 if quick else 80_000, rounds)
            redis.flushall()
            figures += handlers.conflicts(environ, 10_000 if quick else 80_000, rounds)
            figures += handlers.retries(environ, 50 if quick else 300)
        redis.flushall()
        if "latency" in wanted:
            _say("latency")
            figures += latency.measure(environ, 8 if quick else 40)
        redis.flushall()
        if "serve" in wanted:
            _say("reads over HTTP, and clients that follow")
            figures += serve.measure(environ, 2 if quick else 10, rounds, 100 if quick else 1_000)
    took = time.monotonic() - started
    report.show(figures, on, took)
    if json_file is not None:
        body = {"machine": on, "took_s": round(took, 1), "figures": [figure.to_json() for figure in figures]}
        json_file.write_text(json.dumps(body, indent=2) + "\n")


def _folding(
    environ: dict[str, str], wanted: tuple[str, ...], months: list[int], events: int | None, rounds: int, quick: bool
) -> list[report.Figure]:
    """What is measured on the log of the real flights."""
    environ = with_prefix(environ, "bench.")
    installation = Installation(environ)
    create_topics(installation)
    _say(f"import of the months {months[0]} to {months[-1]}")
    seconds = import_months(environ, f"{months[0]}-{months[-1]}")
    log = scan(installation, installation.names.events("flights"))
    figures = [report.Figure(name="import, importer and handler together", value=log.events / seconds, unit="commands/s")]
    folded, measured = min(events or log.events, log.events), {}
    if "projector" in wanted:
        _say(f"projector, {folded:,} events")
        measured = projector.measure(environ, installation, log, folded, rounds)
        figures += projector.throughput(measured)
        if folded == log.events:
            figures += projector.check_truth(installation, log, months)
    if "memory" in wanted:
        _say("memory")
        sizes = (20_000, min(80_000, folded)) if quick else (100_000, min(1_000_000, folded))
        figures += projector.memory(environ, installation, log, sizes, measured)
    if "rebuild" in wanted:
        _say(f"rebuild, {folded:,} events")
        figures += rebuild.throughput(rebuild.measure(environ, installation, log, folded, rounds))
        _say("rebuild of logs of several sizes")
        few, times = (20_000, 2) if quick else (100_000, 4)
        figures += rebuild.sizes(environ, installation, log, few, 1 if rounds < 3 else 2, times)
    return figures


def _say(what: str) -> None:
    click.echo(f"bench: {what}", err=True)


if __name__ == "__main__":
    main()
