"""Jars that are fetched once for a checkout, by Maven, and again when what is asked for changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack_plan import StackError
from stack_record import locked

STAMP = "pom.sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a folder is to hold: its name for people, the stamp that tells it from others, and what fills an empty folder."""

    what: str
    size: str
    stamp: str
    wanted: str
    fill: Callable[[str, Path], None]

    def held_by(self, folder: Path) -> bool:
        stamp = folder / self.stamp
        return stamp.is_file() and stamp.read_text() == self.wanted


def kafka(pom: Path) -> Bundle:
    """What deploy/pom.xml asks for."""
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    return Bundle(what="Kafka's jars", size="about 100 MB", stamp=STAMP, wanted=wanted, fill=partial(copy_dependencies, pom))


def fetch(folder: Path, bundle: Bundle, say: Callable[[str], None]) -> None:
    """Make the folder hold the bundle: all of it, or what it held before."""
    lock = folder.with_name(f"{folder.name}.lock")
    with locked(lock, waiting=lambda: say(f"Another call is fetching {bundle.what}; waiting for it.")):
        if bundle.held_by(folder):
            return
        # What a killed call left; its Maven may still be writing there, so a new one never shares the folder.
        for stale in folder.parent.glob(f"{folder.name}.part-*"):
            shutil.rmtree(stale, ignore_errors=True)
        maven = shutil.which("mvn")
        if maven is None:
            raise StackError(
                f"Maven, which fetches {bundle.what}, is not on the PATH: "
                "install it (on Debian and Ubuntu: `apt-get install maven`)."
            )
        say(f"Fetching {bundle.what} with Maven ({bundle.size}, once for this checkout).")
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
        try:
            part.chmod(0o755)
            bundle.fill(maven, part)
            (part / bundle.stamp).write_text(bundle.wanted)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def copy_dependencies(pom: Path, maven: str, folder: Path, *, what: str = "Kafka's jars", made: str = "kafka_*.jar") -> None:
    """Fill the folder with what a pom.xml asks for; StackError as `run_maven`."""
    arguments = ["-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    run_maven([maven, *arguments], what=what, folder=folder, made=made)


def run_maven(command: Sequence[str], *, what: str, folder: Path, made: str) -> None:
    """Run Maven in the folder; StackError with its own words if it fails, or does not make a file of that pattern."""
    done = subprocess.run(
        [*command, "-B", "-q"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not any(folder.glob(made)):
        reasons = [line for line in done.stdout.splitlines() if line.strip()][:6]
        raise StackError(
            f"Maven could not fetch {what}; if this machine is behind a proxy or a mirror, "
            "~/.m2/settings.xml must say so. Maven's words:\n" + "\n".join(reasons)
        )
