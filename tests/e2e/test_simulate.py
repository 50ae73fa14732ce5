"""`eventfold flights simulate`: a board that lives, twice the same, and that can be left at any time."""

from __future__ import annotations

import json
import signal
from collections import Counter

from tests.support import log
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

PLAY = ("flights", "simulate", "--as", "2031-01-02", "--date", "2013-01-08", "--airport", "LGA")


def test_a_day_is_played_and_playing_it_again_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.handler()
    sandbox.projector("board")
    done = sandbox.json(*PLAY, "--speed", "1000000")
    sandbox.caught_up("flights.handler", "board")
    rows = sandbox.json("query", "board", "LGA", "--date", "2031-01-02")["entries"]
    assert len(rows) == done["flights"] > 200
    assert set(Counter(row["status"] for row in rows)) <= {"arrived", "cancelled", "diverted"}
    events = len(log.read(sandbox, "flights.events"))
    assert events == done["commands"]

    again = sandbox.ok(*PLAY, "--speed", "1000000", "--from", "12:00")
    assert again == f"{done['flights']:,} flights played, {done['commands']:,} commands sent\n"
    sandbox.caught_up("flights.handler", "board")
    assert sandbox.json("query", "board", "LGA", "--date", "2031-01-02")["entries"] == rows
    assert len(log.read(sandbox, "flights.events")) == events
    assert log.read(sandbox, "flights.refusals") == []


def test_interrupted_it_says_where_to_go_on(sandbox: Sandbox) -> None:
    sandbox.handler()
    sandbox.projector("board")
    playing = sandbox.start(*PLAY, "--speed", "1", "--from", "12:00")
    eventually(lambda: any(row["status"] == "arrived" for row in board(sandbox)), "the morning is there", pause_s=1)
    assert playing.stop(signal.SIGINT) == 130
    assert "interrupted: " in playing.log and "go on with --from 12:" in playing.log
    assert "Traceback" not in playing.log
    sandbox.caught_up("flights.handler", "board")
    assert Counter(row["status"] for row in board(sandbox))["scheduled"] > 50


def test_what_cannot_be_played(sandbox: Sandbox) -> None:
    assert "the data is of 2013" in sandbox.fails(2, "flights", "simulate", "--date", "2014-01-01")
    assert "take another year" in sandbox.fails(2, "flights", "simulate", "--as", "2013-01-01")
    assert "EWR, JFK, LGA" in sandbox.fails(2, "flights", "simulate", "--airport", "SFO")
    assert "05:30" in sandbox.fails(2, "flights", "simulate", "--from", "dawn")
    assert "--speed" in sandbox.fails(2, "flights", "simulate", "--speed", "0")
    assert "--speed" in sandbox.fails(2, "flights", "simulate", "--speed", "nan")


def board(sandbox: Sandbox) -> list[dict[str, str]]:
    found = sandbox.run("query", "board", "LGA", "--date", "2031-01-02", "--json")
    if found.returncode != 0:
        return []
    rows: list[dict[str, str]] = json.loads(found.stdout)["entries"]
    return rows
