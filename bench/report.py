"""The report: one figure a line, each with its baseline, its target and what came of it."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import confluent_kafka
from redis import Redis
from rich.console import Console
from rich.table import Table

from bench.stack import REPOSITORY

_LIBRARIES = ("confluent-kafka", "fastavro", "redis", "hiredis", "orjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure. `met` is None where nothing was promised; `ratios` are those of the single rounds."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    ratios: Sequence[float] = ()
    target: str = ""
    met: bool | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def against(name: str, unit: str, values: Sequence[float], baselines: Sequence[float], least: float | None) -> Figure:
    """The medians of rounds of which each measured value and baseline one after the other."""
    value, baseline = statistics.median(values), statistics.median(baselines)
    ratio = value / baseline
    return Figure(
        name=name,
        value=value,
        unit=unit,
        baseline=baseline,
        ratio=ratio,
        ratios=[one / other for one, other in zip(values, baselines, strict=True)],
        target="" if least is None else f">= {least:g} x",
        met=None if least is None else ratio >= least,
    )


def machine(redis: Redis) -> dict[str, str]:
    """On what was measured."""
    jars = sorted((REPOSITORY / ".eventfold" / "kafka-libs").glob("kafka_2.13-*.jar"))
    info: Any = redis.info("server")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "librdkafka": confluent_kafka.libversion()[0],
        "kafka": jars[-1].stem.rpartition("-")[2] if jars else "?",
        "redis-server": info["redis_version"],
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def show(figures: Sequence[Figure], on: dict[str, str], took_s: float) -> None:
    """Print the report for people."""
    console = Console(width=None if os.isatty(1) else 150)
    table = Table(title="eventfold, measured")
    for column in ("figure", "measured", "baseline", "ratio", "of the rounds", "target", "verdict"):
        numeric = column in ("measured", "baseline", "ratio", "of the rounds")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{_number(figure.value)} {figure.unit}",
            "" if figure.baseline is None else _number(figure.baseline),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            f"{min(figure.ratios):.2f} to {max(figure.ratios):.2f}" if figure.ratios else figure.note,
            figure.target,
            "" if figure.met is None else "met" if figure.met else "NOT met",
        )
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in on.items()), highlight=False)
    console.print(f"took {took_s / 60:.1f} min", highlight=False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
