"""A submitter of the bank test, a process of its own: sends its share of the commands and notes each outcome in a file.

`python -m tests.faults.teller FOLDER NUMBER OF SEED TRANSFERS ACCOUNTS BEGUN_MS`: one of `OF` tellers. Killed and started
again it sends what has no outcome yet, under the same ids. Settings come from the environment, as for any client.
"""

from __future__ import annotations

import json
import os
import random
import sys
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accounts import money
from eventfold.installation import Installation
from eventfold.kafka.publisher import PublishError
from eventfold.producers.commands import Command, CommandSender
from eventfold.schemas.position import Position
from eventfold.store.outcomes import Outcome, Outcomes, OutcomeUnknownError

UNIT = 10_000  # of an amount, a major unit
OPENING = 1_000 * UNIT
CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "USD")
_WINDOW = 40
_WAIT_S = 20


def account(number: int) -> str:
    return f"acc-{number:03d}"


def currency(number: int) -> str:
    return CURRENCIES[number % len(CURRENCIES)]


def transfer_id(seed: int, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"transfer {seed} {number}"))


def openings(seed: int, accounts: int) -> Iterator[Command]:
    """Open each account and put the opening sum into it: what the bank has, and never gets more of."""
    for number in range(accounts):
        key = account(number)
        yield _command(seed, f"open {key}", "OpenAccount", key, {"owner": f"Owner {number}", "currency": currency(number)})
        yield _command(seed, f"fund {key}", "Deposit", key, {"amount": money.number(OPENING), "currency": None})


def transfers(seed: int, count: int, accounts: int, begun_ms: int) -> Iterator[Command]:
    """Transfers at random: some too large, some to an account that is unknown or of another currency, some in a hurry."""
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        source, target = chance.sample(range(accounts), 2)
        to = account(target) if chance.random() > 0.03 else f"nobody-{chance.randrange(50)}"
        amount = chance.randrange(1, 40_000) * (UNIT // 100)
        deadline = begun_ms + chance.choice([3_000, 30_000, 3_600_000])
        data = {"from_account": account(source), "to_account": to, "amount": money.number(amount), "deadline": deadline}
        yield _command(seed, f"transfer {number}", "RequestTransfer", transfer_id(seed, number), data)


def _command(seed: int, what: str, name: str, key: str, data: dict[str, Any]) -> Command:
    return Command(type=f"accounts.{name}", key=key, data=data, id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {what}")))


class Notes:
    """Outcomes by command id, a line each; what was half written when this process was killed does not count."""

    def __init__(self, file: Path) -> None:
        self.known = read_notes(file)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        # A line that was cut off must not spoil the next one.
        os.write(self._file, b"\n")

    def add(self, outcome: Outcome) -> None:
        os.write(self._file, json.dumps(outcome.to_json()).encode() + b"\n")


def read_notes(file: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            outcome = json.loads(line)
        except ValueError:
            continue
        found[outcome["command_id"]] = outcome
    return found


def _submit(outcomes: Outcomes, sender: CommandSender, window: Sequence[Command], notes: Notes) -> list[Command]:
    """Send commands and note their outcomes; returns those whose outcome is unknown."""
    places: dict[str, Position] = {}
    references = {
        command.id: sender.reference(command, sender.send(command, partial(places.__setitem__, command.id)))
        for command in window
    }
    sender.flush()
    unknown = []
    for command in window:
        position = places[command.id]
        try:
            notes.add(outcomes.wait(position.topic, position.partition, references[command.id], _WAIT_S))
        except OutcomeUnknownError as error:
            print(f"asks again: {error}", flush=True)
            unknown.append(command)
    return unknown


def main() -> None:
    folder, number, of, seed, count, accounts, begun_ms = Path(sys.argv[1]), *map(int, sys.argv[2:])
    write_side = Installation(os.environ).write_side
    sender = write_side.sender("/teller")
    notes = Notes(folder / f"teller-{number}.jsonl")
    mine = [command for i, command in enumerate(transfers(seed, count, accounts, begun_ms)) if i % of == number]
    open_ = [command for command in mine if command.id not in notes.known]
    while open_:
        window, rest = open_[:_WINDOW], open_[_WINDOW:]
        try:
            unknown = _submit(write_side.outcomes, sender, window, notes)
        except PublishError as error:
            print(f"sends again: {error}", flush=True)
            unknown, sender = window, write_side.sender("/teller")
        open_ = [*unknown, *rest]
    print("done", flush=True)


if __name__ == "__main__":
    main()
