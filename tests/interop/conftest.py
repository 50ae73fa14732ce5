"""The Java Avro library, fetched as the local stack's jars are."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from stack_jars import Bundle, copy_dependencies, fetch
from tests.support.local_stack import REPOSITORY

FOLDER = Path(__file__).parent
Java = Callable[[Sequence[tuple[str, Path | str, str]]], list[str]]
"""Asks AvroMessages.java: (`decode`, a schema's file, base64) or (`encode`, file, JSON) -> the answers."""


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(Catalog.installed(["flights", "accounts"]))


@pytest.fixture(scope="session")
def java() -> Java:
    libs = REPOSITORY / ".eventfold" / "interop-libs"
    pom = FOLDER / "pom.xml"
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    fill = partial(copy_dependencies, pom, what="Java's Avro library", made="avro-*.jar")
    bundle = Bundle(what="Java's Avro library", size="about 6 MB", stamp="pom.sha256", wanted=wanted, fill=fill)
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None and not (tool == "mvn" and bundle.held_by(libs))]
    if missing:
        reason = f"the Java library needs what is not on the PATH: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    libs.parent.mkdir(exist_ok=True)
    fetch(libs, bundle, print)

    def ask(lines: Sequence[tuple[str, Path | str, str]]) -> list[str]:
        done = subprocess.run(
            ["java", "-cp", f"{libs}/*", str(FOLDER / "AvroMessages.java")],
            input="".join(f"{what}\t{path}\t{text}\n" for what, path, text in lines),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answers = done.stdout.split("\n")[:-1]
        assert len(answers) == len(lines), done.stderr
        return answers

    return ask
