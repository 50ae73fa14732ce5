"""The decider of `accounts`: an id is that of an account or of a transfer, by its first event."""

from __future__ import annotations

from accounts import account, transfer
from eventfold.producers.decider import Kind, Refusal, joined

decider = joined(
    Kind(
        name="account",
        decider=account.decider,
        commands=account.COMMANDS,
        events=account.EVENTS,
        other=Refusal(code="not-an-account", message="the id is that of a transfer"),
    ),
    Kind(
        name="transfer",
        decider=transfer.decider,
        commands=transfer.COMMANDS,
        events=transfer.EVENTS,
        other=Refusal(code="not-a-transfer", message="the id is that of an account"),
    ),
    version=1,
)
