"""What others sent is printed for people without what a terminal would obey, and for programs exactly."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventfold.schemas.terminal import line, say, say_json, visible
from eventfold.tools.show import show
from tests.support.terminal import CRAFTED, OBEYED, obeyed

_LOG = """
import logging, sys
import structlog
from eventfold.tools.logs import configure
configure({"EVENTFOLD_LOG": sys.argv[1]})
crafted = sys.stdin.read()
structlog.get_logger("x").warning("a key " + crafted, key=crafted)
logging.getLogger("other").warning(crafted)
try:
    raise ValueError(crafted)
except ValueError:
    structlog.get_logger("x").exception("failed")
"""


@given(st.text() | st.text(st.sampled_from([*OBEYED, "a", "\t", "\n"])))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert not obeyed(visible(text)) and not obeyed(line(text))
    assert not {"\t", "\n"} & {*line(text)}
    if not obeyed(text):
        assert visible(text) == text


def test_what_was_left_out_is_seen() -> None:
    assert visible("a\x1b[2J\u202e\x9b\ud800\tb\n") == "a\\x1b[2J\\u202e\\x9b\\ud800\tb\n"
    assert line("a\tb\r\n") == "a\\tb\\r\\n"
    assert visible("Ærø 東京 🛫") == "Ærø 東京 🛫"


def test_rows_and_tables_of_what_others_sent(capsys: pytest.CaptureFixture[str]) -> None:
    row: dict[str, Any] = {"key": CRAFTED, "data": {CRAFTED: [CRAFTED]}, CRAFTED: "[bold]x[/bold]", "n": 1}
    for answer in (row, [row, row]):
        show(answer, False)
        out = capsys.readouterr().out
        assert not obeyed(out) and "\t" not in out and "[bold]x[/bold]" in out
        assert len(out.splitlines()) == (4 if answer is row else 3)
    say(CRAFTED, err=True)
    assert not obeyed(capsys.readouterr().err)


def test_json_is_exact_and_on_a_terminal_the_same_json(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({CRAFTED: [CRAFTED]}, ensure_ascii=False).encode()
    printed = {}
    for terminal in (False, True):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(out, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, "stdout", out)
        say_json(body)
        out.flush()
        printed[terminal] = out.buffer.getvalue()  # type: ignore[attr-defined]
    assert printed[False] == body + b"\n"
    assert not obeyed(printed[True].decode())
    assert json.loads(printed[True]) == {CRAFTED: [CRAFTED]}


@pytest.mark.parametrize("form", ["", "json"])
def test_a_daemons_log(form: str) -> None:
    environ = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _LOG, form], input=CRAFTED, capture_output=True, text=True, timeout=60, env=environ, check=True
    )
    assert len(done.stderr.splitlines()) == 3
    if form == "json":
        assert json.loads(done.stderr.splitlines()[0])["key"] == CRAFTED
    else:
        assert not obeyed(done.stderr) and "\\x1b[2J" in done.stderr
