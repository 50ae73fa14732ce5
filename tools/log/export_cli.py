"""`eventfold export` and `eventfold import-log`: a topic as files, and back."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from eventfold.kafka.domain_topics import keyed_topics, settings_of
from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.files import make_folder
from eventfold.schemas.terminal import line, say
from eventfold.tools.log.export import export as export_partition
from eventfold.tools.log.export import file_name
from eventfold.tools.log.restore import Restore, Restored
from eventfold.tools.log.saved import MOST_PARTITIONS, Saved, saved
from eventfold.tools.log.topic import found
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("topic")
@click.argument("folder", type=_FOLDER, metavar="FOLDER")
@click.option("--partition", "only", multiple=True, type=click.IntRange(min=0), help="Only this one; may stand several times.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@json_option
@pass_runtime
def export(runtime: Runtime, topic: str, folder: Path, only: tuple[int, ...], force: bool, as_json: bool) -> None:
    """Save the committed records of TOPIC in FOLDER, an Avro object container file a partition.

    Offset, timestamp, key, headers and bytes of each record as they lie in the log, and the schemas to read them by. A file is
    written whole or not at all, for its owner alone, and no link is followed.
    """
    topics = Topics(runtime.kafka)
    info = found(topics, runtime.names, topic)
    if beyond := [partition for partition in only if partition >= info.partitions]:
        raise UsageError(f"{info.name} has no partition {beyond[0]}; it has {info.partitions}")
    places = [(info.name, partition) for partition in sorted({*only}) or range(info.partitions)]
    try:
        make_folder(folder)
    except OSError as error:
        raise EventfoldError(f"{folder} cannot be made: {error.strerror}") from error
    if not force and (there := [name for place in places if os.path.lexists(folder / (name := file_name(place)))]):
        raise UsageError(f"{folder / there[0]} is there already: choose another folder, or write over it with --force")
    began = time.monotonic()
    ends, starts = topics.ends(places, committed=True), topics.starts(places)
    log, codec = RangeReader(runtime.kafka, runtime.names.topic("eventfold.export")), runtime.codec()
    rows: list[dict[str, Any]] = []
    for place in places:
        done = export_partition(log, codec, info, place, (starts[place], ends[place]), folder, over=force)
        if starts[place]:
            gone = "what was before it is gone; keep an export that has it"
            say(f"{place[0]}/{place[1]} begins at offset {starts[place]}: {gone}", err=True)
        rows.append(
            {
                "file": str(done.path),
                "records": done.records,
                "first_offset": done.first_offset,
                "next_offset": done.next_offset,
                "bytes": done.size,
            }
        )
    show(rows, as_json)
    records, size = (sum(row[name] for row in rows) for name in ("records", "bytes"))
    say(f"{records:,} records in {size:,} bytes, {time.monotonic() - began:.1f} s", err=True)


@click.command("import-log")
@click.argument("folder", type=_FOLDER, metavar="FOLDER")
@click.argument("topic", required=False)
@click.option(
    "--partitions", type=click.IntRange(1, MOST_PARTITIONS), help="Of a topic that is made; by default as many as it had."
)
@click.option("--replication", type=click.IntRange(1, 32), help="Copies of each; 3, or 1 where there are fewer brokers.")
@click.option("--partial", is_flag=True, help="Go on where files of some partitions, or their first records, are missing.")
@click.option("--any-ids", is_flag=True, help="Go on where a schema registry's ids are not those of the files.")
@json_option
@pass_runtime
def import_log(
    runtime: Runtime,
    folder: Path,
    topic: str | None,
    partitions: int | None,
    replication: int | None,
    partial: bool,
    any_ids: bool,
    as_json: bool,
) -> None:
    """Restore what `eventfold export` saved in FOLDER: every topic under the name that it had, or the only one as TOPIC.

    Into a topic that is made, or that is there and never had a record. All files are read once before anything is written.
    Positions are new, so read models are to be folded anew.
    """
    exports = saved(folder, partial=partial)
    if topic is not None and len(exports) > 1:
        there = ", ".join(each.topic for each in exports)
        raise UsageError(f"{folder} has files of several topics, which cannot all become {topic!r}: {there}")
    if not partial:
        _refuse_cut(runtime, exports)
    topics = Topics(runtime.kafka)
    targets = [(each, runtime.names.topic(topic) if topic is not None else each.topic) for each in exports]
    if not any_ids:
        for each in exports:
            each.refuse_other_ids(runtime.codec())
    counts = {each.topic: each.check() for each in exports}
    restore = Restore(runtime.kafka, topics, keyed_topics(runtime.names, runtime.domain_names))
    existing = topics.existing([name for _, name in targets])
    for info in existing.values():
        restore.refuse_used(info, partitions)
    for each, name in targets:
        if name not in existing:
            wanted = settings_of(runtime.names, runtime.domain_names, name)
            topics.create({name: wanted}, partitions or each.partitions, replication)
    rows = []
    for each, name in targets:
        began = time.monotonic()
        done = restore.write(each, name)
        rows += _rows(done)
        seconds = time.monotonic() - began
        what = f"{sum(counts[each.topic].values()):,} records of {line(each.topic)} restored as {line(name)} in {seconds:.1f} s"
        say(
            what if done.kept_times else f"{what}, with the time of the restore: by their old one Kafka would delete them",
            err=True,
        )
    show(rows, as_json)
    say("positions are new: what was folded from the old topics is refused; see docs/backup.md", err=True)


def _refuse_cut(runtime: Runtime, exports: Sequence[Saved]) -> None:
    """EventfoldError for what is kept for ever and lost its first records before it was saved."""
    for each in exports:
        if settings_of(runtime.names, runtime.domain_names, each.topic)["retention.ms"] == "-1":
            each.refuse_cut()


def _rows(done: Restored) -> list[dict[str, Any]]:
    return [{"topic": done.topic, "partition": partition, "records": count} for partition, count in done.partitions.items()]
