"""The commands replay, verify, generations and rollback."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from eventfold.processors.collector import calm_collector
from eventfold.processors.log_guard import LogGuard
from eventfold.processors.lookup.history import History
from eventfold.processors.rebuild.bounds import bounds
from eventfold.processors.rebuild.display import Display, Silent, display
from eventfold.processors.rebuild.job import Job
from eventfold.processors.rebuild.keeping import keep_live_rows
from eventfold.processors.rebuild.repair import repair
from eventfold.processors.rebuild.replay import ALWAYS, IF_EQUAL, NEVER, Replay, Wish
from eventfold.processors.rebuild.rollback import rollback as roll_back
from eventfold.processors.rebuild.verify import verify as verify_live
from eventfold.processors.rebuild.workers import COMMAND, told
from eventfold.processors.runtime import Runtime
from eventfold.processors.ways_on import of_projection
from eventfold.producers.handed import HISTORY
from eventfold.schemas.errors import FAILED, NotFoundError, UsageError
from eventfold.schemas.ids import checked_key
from eventfold.schemas.terminal import line, say
from eventfold.schemas.times import iso
from eventfold.store.builds import BUILDING
from eventfold.store.slice_store import SliceStore
from eventfold.tools.rebuild_options import (
    keep_option,
    memory_option,
    partition_option,
    rate_option,
    show_option,
    workers_option,
)
from eventfold.tools.rebuild_words import list_differences, tell, tell_differences, tell_kept
from eventfold.tools.run_cli import json_option, pass_runtime, stopped_by_signals
from eventfold.tools.show import show


@click.command()
@click.argument("name", metavar="PROJECTION")
@workers_option
@click.option(
    "--switch",
    type=click.Choice([ALWAYS, IF_EQUAL, NEVER]),
    help="When to go live.  [default: if-equal; always, when the projection's version changed]",
)
@show_option
@click.option("--resume", is_flag=True, help="Go on with a replay that was interrupted.")
@click.option("--abort", is_flag=True, help="Drop a replay that was interrupted.")
@rate_option
@keep_option
@click.option(
    "--from-offset",
    multiple=True,
    metavar="[PARTITION:]OFFSET",
    help="Begin there: not the whole history; `beginning`: with what the log still has.",
)
@click.option("--from-time", metavar="TIME", help="Begin with what was recorded at this time or later.")
@click.option("--to-time", metavar="TIME", help="End with what was recorded before this time; it cannot go live.")
@click.option("--keep-rows", is_flag=True, help="Go on with the live rows, though the log lost what they were folded from.")
@click.option("--key", metavar="ID", help="Mend the rows of one aggregate in the live generation, from its own events.")
@memory_option
@partition_option
@json_option
@pass_runtime
def replay(
    runtime: Runtime,
    name: str,
    workers: int,
    switch: str | None,
    listed: int,
    resume: bool,
    abort: bool,
    rate: float | None,
    keep: int,
    from_offset: tuple[str, ...],
    from_time: str | None,
    to_time: str | None,
    keep_rows: bool,
    key: str | None,
    ignore_memory: bool,
    per_partition: bool,
    as_json: bool,
) -> None:
    """Build PROJECTION anew beside the live one, compare the two, and go live with it, with no downtime.

    Exit code 1 when it differs and did not go live; it stays, for --resume --switch always, or --abort.
    """
    partly = bool(from_offset or from_time or to_time)
    if resume + abort + partly + keep_rows + (key is not None) > 1:
        raise UsageError("use only one of --resume, --abort, --keep-rows, --key and the points to begin and end at")
    with _job(runtime, name, display(as_json=as_json, by_partition=per_partition)) as job:
        if abort:
            _abort(job, as_json)
            return
        if keep_rows:
            tell_kept(name, keep_live_rows(job), as_json)
            return
        if key is not None:
            _mend(job, checked_key(key), as_json)
            return
        LogGuard.of_projections(runtime, [name]).refuse()
        first, last = bounds(job, from_offset, from_time, to_time) if partly else ({}, {})
        wish = Wish(
            workers=workers,
            switch=switch,
            show=listed,
            rate=rate,
            keep_ms=keep,
            check_memory=not ignore_memory,
            resume=resume,
            first=first,
            last=last,
        )
        report = Replay(job, wish).run()
    if as_json:
        show(report.to_json(), True)
    else:
        tell(report)
    different = report.comparison is not None and report.comparison.different
    if report.switched is None and (report.wanted or different):
        sys.exit(FAILED)


@click.command()
@click.argument("name", metavar="PROJECTION")
@workers_option
@show_option
@rate_option
@memory_option
@partition_option
@json_option
@pass_runtime
def verify(
    runtime: Runtime,
    name: str,
    workers: int,
    listed: int,
    rate: float | None,
    ignore_memory: bool,
    per_partition: bool,
    as_json: bool,
) -> None:
    """Compare every row of PROJECTION with the log, without touching it; exit code 1 when something differs."""
    with _job(runtime, name, display(as_json=as_json, by_partition=per_partition)) as job:
        LogGuard.of_projections(runtime, [name]).refuse()
        found = verify_live(job, show=listed, workers=workers, rate=rate, check_memory=not ignore_memory)
    if as_json:
        show({"projection": name, **found.to_json()}, True)
    else:
        tell_differences(found)
    if found.different:
        sys.exit(FAILED)


@click.command()
@click.argument("name", metavar="PROJECTION")
@json_option
@pass_runtime
def generations(runtime: Runtime, name: str, as_json: bool) -> None:
    """List the generations of PROJECTION: which is live, how far each is, its size and its age."""
    with _job(runtime, name) as job:
        now = int(time.time() * 1000)
        job.sweep()
        rows: list[dict[str, Any]] = []
        ends = job.ends()
        for build in job.generations.all(name):
            offsets = job.offsets(build.generation)
            row: dict[str, Any] = {
                "generation": build.id,
                "state": build.state,
                "version": build.generation.version,
                "whole": build.whole,
                "offsets": {f"{t}/{p}": offset for (t, p), offset in offsets.items()} if as_json else sum(offsets.values()),
                "behind": sum(max(0, end - offsets.get(place, 0)) for place, end in ends.items()),
                "size_bytes": sum(job.store.size(slice_, build.parts) for slice_ in build.generation.slices()),
                "made": iso(build.made // 1000 * 1000),
                "age_s": (now - build.made) // 1000,
                "kept_until": None if build.expires is None else iso(build.expires // 1000 * 1000),
            }
            rows.append(row)
    show(rows, as_json, empty=f"{name} was never built")


@click.command()
@click.argument("name", metavar="PROJECTION")
@keep_option
@click.option("--stale", is_flag=True, help="Also to a generation that nobody feeds, as old as it is.")
@json_option
@pass_runtime
def rollback(runtime: Runtime, name: str, keep: int, stale: bool, as_json: bool) -> None:
    """Make the generation of PROJECTION that was live before live again."""
    with _job(runtime, name) as job:
        to, switched = roll_back(job, keep_ms=keep, stale=stale)
    if as_json:
        held_ms = round(switched.held_ms, 1)
        show({"projection": name, "generation": to.id, "version": to.generation.version, "held_ms": held_ms}, True)
    else:
        held = f"the live slices were held for {switched.held_ms:.0f} ms"
        say(f"{to.id} (version {to.generation.version}) is live again; {held}")
        if not to.whole:
            say("this is not the whole history")


@click.command(COMMAND, hidden=True)
@click.argument("name")
@click.argument("generation")
@pass_runtime
def build_worker(runtime: Runtime, name: str, generation: str) -> None:
    """Build some slices of a generation; what `replay --workers` starts."""
    with _job(runtime, name) as job:
        work = told(sys.stdin, job.stop)
        targets = {(topic, partition): offset for topic, partition, offset in work["targets"]}
        build = next((build for build in job.generations.all(name) if build.id == generation), None)
        if build is None:
            raise NotFoundError(f"there is no generation {generation!r} of {name!r}")
        with job.builder(build, list(targets), work["rate"]) as builder:
            builder.advance(targets, lambda: print(builder.events, flush=True))  # noqa: T201
            print(builder.events, flush=True)  # noqa: T201


def _mend(job: Job, key: str, as_json: bool) -> None:
    history: History = click.get_current_context().meta[HISTORY]()
    found = repair(job, history, key)
    if as_json:
        differences = [difference.to_json() for difference in found.differences]
        show({"projection": job.projection.name, "key": key, "events": found.events, "mended": differences}, True)
        return
    list_differences(found.differences)
    what = f"{len(found.differences)} mended" if found.differences else "nothing was wrong"
    say(f"{line(key)}: {found.events} events folded, {what}")
    if found.left_alone:
        say(f"not looked at, since not keyed by the aggregate: {', '.join(found.left_alone)}")


def _abort(job: Job, as_json: bool) -> None:
    name = job.projection.name
    with job.claim("replay"):
        begun = [build for build in job.generations.all(name) if build.state == BUILDING]
        for build in begun:
            job.generations.drop(build, job.store)
            say(f"dropped {build.id}", err=True)
        if not begun:
            say(f"no replay of {name} was interrupted: there is nothing to drop", err=True)
    if as_json:
        show({"projection": name, "dropped": [build.id for build in begun]}, True)


@contextmanager
def _job(runtime: Runtime, name: str, shown: Display | None = None) -> Iterator[Job]:
    """What a command works with; it is told to stop by SIGTERM and Ctrl-C."""
    projection = runtime.projection(name)
    SliceStore(runtime.redis).refuse_eviction()
    with stopped_by_signals() as stop:
        # These are commands of people, not daemons: only what went wrong is worth a line.
        logging.getLogger().setLevel(logging.WARNING)
        calm_collector()
        job = Job(runtime, projection, shown or Silent(), stop)
        # A Kafka that is away at the start is said at once; one that goes away later is waited for.
        _ = job.partitions
        with of_projection(projection):
            yield job
