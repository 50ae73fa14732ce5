"""Progress on stderr: a bar on a terminal, plain lines otherwise, JSON lines for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from eventfold.schemas.record import Place
from eventfold.schemas.terminal import say, say_json, visible

_PLAIN_EVERY_S = 5.0
_JSON_EVERY_S = 1.0

Offsets = Mapping[Place, int]


class Display(AbstractContextManager["Display"], Protocol):
    """What is shown while something is folded; offsets count transaction markers too, of which there are few."""

    def say(self, what: str) -> None: ...
    def show(self, done: Offsets, targets: Offsets, rate: float) -> None: ...


def display(*, as_json: bool, by_partition: bool) -> Display:
    """The display that fits who looks."""
    if as_json:
        return _Json(by_partition)
    return _Bars(by_partition) if sys.stderr.isatty() else _Lines(by_partition)


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, what: str) -> None:
        return

    def show(self, done: Offsets, targets: Offsets, rate: float) -> None:
        return


class _Bars:
    def __init__(self, by_partition: bool) -> None:
        self._by_partition = by_partition
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, what: str) -> None:
        self._progress.console.print(visible(what), highlight=False, markup=False)

    def show(self, done: Offsets, targets: Offsets, rate: float) -> None:
        self._row("all", sum(done.values()), sum(targets.values()), f"{rate:,.0f} events/s")
        if self._by_partition:
            for place, target in sorted(targets.items()):
                self._row(f"{place[0]}/{place[1]}", done[place], target, "")

    def _row(self, name: str, done: int, total: int, rate: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, rate=rate)
        self._progress.update(self._tasks[name], completed=done, total=max(done, total), rate=rate)


class _Lines:
    def __init__(self, by_partition: bool) -> None:
        self._by_partition = by_partition
        self._shown = 0.0

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, what: str) -> None:
        say(what, err=True)

    def show(self, done: Offsets, targets: Offsets, rate: float) -> None:
        if time.monotonic() - self._shown < _PLAIN_EVERY_S:
            return
        self._shown = time.monotonic()
        at, end = sum(done.values()), sum(targets.values())
        left = f", {(end - at) / rate:,.0f} s left" if rate and end > at else ""
        say(f"{at:,} of {end:,} offsets, {rate:,.0f} events/s{left}", err=True)
        if self._by_partition:
            for place, target in sorted(targets.items()):
                say(f"  {place[0]}/{place[1]}: {done[place]:,} of {target:,}", err=True)


class _Json:
    def __init__(self, by_partition: bool) -> None:
        self._by_partition = by_partition
        self._shown = 0.0

    def __enter__(self) -> _Json:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, what: str) -> None:
        _line({"event": "message", "text": what})

    def show(self, done: Offsets, targets: Offsets, rate: float) -> None:
        if time.monotonic() - self._shown < _JSON_EVERY_S:
            return
        self._shown = time.monotonic()
        body: dict[str, object] = {
            "event": "progress",
            "offset": sum(done.values()),
            "end": sum(targets.values()),
            "events_per_s": round(rate, 1),
        }
        if self._by_partition:
            body["partitions"] = {f"{t}/{p}": {"offset": done[t, p], "end": end} for (t, p), end in sorted(targets.items())}
        _line(body)


def _line(body: dict[str, object]) -> None:
    say_json(orjson.dumps(body), err=True)
