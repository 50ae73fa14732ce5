"""Rows for people and for programs."""

from __future__ import annotations

import json

import pytest

from eventfold.tools.show import show

ROWS = [{"carrier": "UA", "departed": 57979, "share": 0.5}, {"carrier": "HA", "departed": 7, "note": None}]


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, True, ["carrier"])
    assert json.loads(capsys.readouterr().out) == ROWS
    show([], True)
    assert capsys.readouterr().out == "[]\n"


def test_a_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, False, ["departed", "carrier", "absent"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["departed", "carrier"], ["57979", "UA"], ["7", "HA"]]


def test_without_columns_all_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["carrier", "departed", "share", "note"], ["UA", "57979", "0.5", "-"], ["HA", "7", "-", "-"]]


def test_one_row_is_shown_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    show({"id": "UA1", "delayed": True, "at": None, "seen": [1, 2]}, False, ["delayed", "id", "at", "seen"])
    assert capsys.readouterr().out == "delayed  yes\nid       UA1\nat       -\nseen     [1,2]\n"


def test_no_row_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show([], False, empty="no daemon")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no daemon\n")


def test_a_long_row_is_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"a": "x" * 150, "b": "y" * 150}], False)
    assert "x" * 150 + "  " + "y" * 150 in capsys.readouterr().out
