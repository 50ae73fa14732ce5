"""The description of what is served (OpenAPI 3.1): whatever requests follow from it, schemathesis finds no fault."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http.conftest import serving
from tests.support.issuer import issuer
from tests.support.local_stack import clean_environ
from tests.support.sandbox import Sandbox
from tests.support.soak import SOAK

CONFIG = Path(__file__).with_name("schemathesis.toml")
EVERY = "flights:read flights:write accounts:read accounts:write operations:read"
RUN_S = 280
EXAMPLES = "10" if SOAK else "2"
"""Of each operation, drawn at random; what the phase of coverage enumerates comes before them, whatever is drawn."""


@pytest.mark.timeout(RUN_S + 60)
def test_no_request_that_follows_from_it_finds_a_fault(folded: Sandbox, tmp_path: Path) -> None:
    """Right and wrong ones, some thousands. The streams of changes, which do not end, are tried in test_changes.py."""
    with issuer() as it, serving(folded, **it.environ(EVENTFOLD_OAUTH="")) as guarded:
        args = [
            *("--config-file", str(CONFIG), "run", f"{guarded.url}/openapi.json", "--exclude-path-regex", "^/changes/"),
            *("--header", f"Authorization: Bearer {it.token(scope=EVERY)}", "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", EXAMPLES, "--no-color"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *args],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environ(),
            cwd=tmp_path,
            timeout=RUN_S,
        )
        assert done.returncode == 0, f"{done.stdout[-8_000:]}{done.stderr[-2_000:]}"
        tested = re.search(r"(\d+) generated", done.stdout)
        assert tested is not None and int(tested[1]) > 1_000, done.stdout[-2_000:]
        assert "Traceback" not in guarded.server.log
