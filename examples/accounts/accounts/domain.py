"""The domain `accounts`: one decider for the two kinds of aggregate, and the process manager of the transfers.

An id is that of an account or of a transfer, by its first event.
"""

from accounts import account, transfer
from accounts.transfer_process import transfers
from eventfold import Domain, Kind, Refusal, joined

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
    version=2,
)

domain = Domain(name="accounts", decider=decider, process_managers=(transfers,))
