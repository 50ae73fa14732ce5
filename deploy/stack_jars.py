"""Kafka's jars: fetched once for a checkout, by Maven, and again when deploy/pom.xml changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from stack_plan import StackError
from stack_record import locked

STAMP = "pom.sha256"


def present(libs: Path, pom: Path) -> bool:
    """Whether the folder holds what this pom.xml asks for."""
    stamp = libs / STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint(pom)


def fetch(libs: Path, pom: Path, say: Callable[[str], None]) -> None:
    """Make the folder hold what this pom.xml asks for: all of it, or what it held before."""
    lock = libs.with_name(f"{libs.name}.lock")
    with locked(lock, waiting=lambda: say("Another call is fetching Kafka's jars; waiting for it.")):
        if present(libs, pom):
            return
        # What a killed call left; its Maven may still be writing there, so a new one never shares the folder.
        for stale in libs.parent.glob(f"{libs.name}.part-*"):
            shutil.rmtree(stale, ignore_errors=True)
        maven = shutil.which("mvn")
        if maven is None:
            raise StackError(
                "Maven, which fetches Kafka's jars, is not on the PATH: "
                "install it (on Debian and Ubuntu: `apt-get install maven`)."
            )
        say("Fetching Kafka's jars with Maven (about 100 MB, once for this checkout).")
        part = Path(tempfile.mkdtemp(prefix=f"{libs.name}.part-", dir=libs.parent))
        try:
            part.chmod(0o755)
            copy_dependencies(maven, pom, part)
            (part / STAMP).write_text(fingerprint(pom))
            shutil.rmtree(libs, ignore_errors=True)
            part.rename(libs)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def copy_dependencies(maven: str, pom: Path, folder: Path) -> None:
    command = [
        *(maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={folder}"),
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0 or not any(folder.glob("kafka_*.jar")):
        reasons = [line for line in done.stdout.splitlines() if line.strip()][:6]
        raise StackError(
            "Maven could not fetch Kafka's jars; if this machine is behind a proxy or a mirror, "
            "~/.m2/settings.xml must say so. Maven's words:\n" + "\n".join(reasons)
        )


def fingerprint(pom: Path) -> str:
    return hashlib.sha256(pom.read_bytes()).hexdigest()
