"""The domain `accounts`: one decider for the two kinds of aggregate, and the process manager of the transfers.

An id is that of an account or of a transfer, by its first event. Whoever is known to have opened an account is alone in taking
money out of it; the account of somebody unknown is everybody's.
"""

from accounts import account, transfer
from accounts.transfer_process import transfers
from eventfold import Domain, Kind, Message, Refusal, State, joined

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
_ASKED = frozenset(f"accounts.{name}" for name in ("OpenAccount", "Deposit", "Withdraw", "CloseAccount", "RequestTransfer"))
_BY_HAND = frozenset(("accounts.ExpireTransfer", "accounts.RetryRefund"))
"""What an operator may do about a transfer that stands still."""
_OF_THE_OWNER = frozenset(("accounts.Withdraw", "accounts.CloseAccount", "accounts.DebitAccount"))


def may(command: Message, state: State) -> bool:
    owner = state.get("state", {}).get("actor")
    if owner is None or command.type not in _OF_THE_OWNER:
        return True
    return command.actor is not None and command.actor.id == owner


domain = Domain(
    name="accounts",
    decider=decider,
    process_managers=(transfers,),
    # The rest is what an account and a transfer say to each other.
    internal=(account.COMMANDS | transfer.COMMANDS) - _ASKED - _BY_HAND,
    scopes=dict.fromkeys(_BY_HAND, "accounts:operate"),
    may=may,
)
