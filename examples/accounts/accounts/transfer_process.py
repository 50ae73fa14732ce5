"""`transfers`: debit, then credit, or give the money back (docs/accounts.md has the whole protocol).

What an account is told about a transfer follows from events of the transfer alone: they lie in one partition, so the commands
reach the account in their order. Only that a debit or a credit is to be forgotten may come at any time.

A refusal of the decider is an answer. One of the handler (`expired`, `decider-failed`, `wrong-partition`, ...) is none: what
came before it may even have been decided under the same id, long ago. So it never leads to a refund by itself: after a
credit that was not decided the destination is told to cancel it, and answers. What has expired is asked for again, since
that takes days. Any other fault would come again at once, so the transfer stands still, its money in flight, until a person
has mended it and sends ExpireTransfer or RetryRefund.
"""

from __future__ import annotations

from collections.abc import Sequence

from eventfold import Emit, Event, ProcessManager, Refused

EXPIRED = "expired"
DEADLINE = "deadline"
# Answers of the account that is to be paid after which a credit under this command's id can never have been made.
_FINAL = frozenset(
    (
        *("not-open", "closed", "other-currency", "not-an-account"),
        *("amount-not-positive", "amount-too-fine", "balance-too-large", "too-many-transfers"),
    )
)
_CANCELLED = {"code": DEADLINE, "message": "the credit was not made before the deadline"}

transfers = ProcessManager(name="transfers", domains=("accounts",))


# -- debit, credit -------------------------------------------------------------------------------------------------------


@transfers.on("accounts.TransferRequested", reads=("from_account", "to_account", "amount", "deadline"))
def debit(event: Event) -> Sequence[Emit]:
    data = event.data
    debited = {"transfer_id": event.key, "to_account": data["to_account"], "amount": data["amount"]}
    return [Emit("accounts.DebitAccount", data["from_account"], debited)]


@transfers.on("accounts.AccountDebited", reads=("transfer_id", "currency"))
def debited(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.RecordDebit", event.data["transfer_id"], {"currency": event.data["currency"]})]


@transfers.refused("accounts.DebitAccount")
def not_debited(refused: Refused) -> Sequence[Emit]:
    """Should it have been debited all the same, the record of it finds the transfer failed, and the money goes back."""
    if refused.code == "already-debited":
        return []
    return [Emit("accounts.FailTransfer", refused.process, {"code": refused.code, "message": refused.message})]


@transfers.on("accounts.TransferDebited", reads=("from_account", "to_account", "amount", "currency"))
def credit(event: Event) -> Sequence[Emit]:
    data = event.data
    credited = {name: data[name] for name in ("from_account", "amount", "currency")}
    return [Emit("accounts.CreditAccount", data["to_account"], {"transfer_id": event.key, **credited})]


@transfers.on("accounts.AccountCredited", reads=("transfer_id",))
def credited(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.RecordCredit", event.data["transfer_id"], {})]


@transfers.refused("accounts.CreditAccount")
def not_credited(refused: Refused) -> Sequence[Emit]:
    if refused.code in ("already-credited", "credit-cancelled"):
        return []
    if refused.code in _FINAL:
        return [_credit_refused(refused.process, refused.code, refused.message)]
    return [Emit("accounts.ExpireTransfer", refused.process, {})]


@transfers.on("accounts.TransferCompleted", reads=("from_account", "to_account"))
def settle(event: Event) -> Sequence[Emit]:
    return [
        Emit("accounts.SettleDebit", event.data["from_account"], {"transfer_id": event.key}),
        Emit("accounts.SettleCredit", event.data["to_account"], {"transfer_id": event.key}),
    ]


# -- the deadline --------------------------------------------------------------------------------------------------------


@transfers.deadline(
    "overdue",
    starts="accounts.TransferRequested",
    ends=("accounts.TransferCompleted", "accounts.TransferFailed", "accounts.TransferReturned"),
    due="deadline",
)
def overdue(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.ExpireTransfer", event.key, {})]


@transfers.on("accounts.TransferOverdue", reads=("to_account",))
def cancel(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.CancelCredit", event.data["to_account"], {"transfer_id": event.key})]


@transfers.on("accounts.CreditCancelled", reads=("transfer_id",))
def cancelled(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.RecordCreditRefused", event.data["transfer_id"], _CANCELLED)]


@transfers.refused("accounts.CancelCredit")
def not_cancelled(refused: Refused) -> Sequence[Emit]:
    match refused.code:
        case "already-credited":
            return [Emit("accounts.RecordCredit", refused.process, {})]
        case "credit-cancelled":
            return [Emit("accounts.RecordCreditRefused", refused.process, _CANCELLED)]
        case "not-an-account":
            return [_credit_refused(refused.process, refused.code, refused.message)]
        case "expired":
            return [Emit("accounts.ExpireTransfer", refused.process, {})]
        case _:
            return []


# -- the refund ----------------------------------------------------------------------------------------------------------


@transfers.on("accounts.TransferReturned", reads=("from_account",))
def refund(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.RefundDebit", event.data["from_account"], {"transfer_id": event.key})]


@transfers.on("accounts.AccountRefunded", reads=("transfer_id",))
def refunded(event: Event) -> Sequence[Emit]:
    return [Emit("accounts.RecordRefund", event.data["transfer_id"], {})]


@transfers.refused("accounts.RefundDebit")
def not_refunded(refused: Refused) -> Sequence[Emit]:
    match refused.code:
        case "no-such-debit":  # of a transfer that was debited: it was refunded before
            return [Emit("accounts.RecordRefund", refused.process, {})]
        case "expired":
            return [Emit("accounts.RetryRefund", refused.process, {})]
        case _:
            return []


# -- what was not decided in time ----------------------------------------------------------------------------------------


@transfers.refused("accounts.RecordDebit")
def debit_not_recorded(refused: Refused) -> Sequence[Emit]:
    return _again(refused, {"currency": None})


@transfers.refused("accounts.RecordCredit", "accounts.RecordRefund", "accounts.ExpireTransfer", "accounts.RetryRefund")
def not_recorded(refused: Refused) -> Sequence[Emit]:
    return _again(refused, {})


@transfers.refused("accounts.FailTransfer", "accounts.RecordCreditRefused")
def end_not_recorded(refused: Refused) -> Sequence[Emit]:
    return _again(refused, {"code": refused.code, "message": refused.message})


@transfers.refused("accounts.SettleDebit", "accounts.SettleCredit")
def not_settled(refused: Refused) -> Sequence[Emit]:
    return _again(refused, {"transfer_id": refused.process})


def _again(refused: Refused, data: dict[str, str | None]) -> Sequence[Emit]:
    return [Emit(refused.command, refused.key, data)] if refused.code == EXPIRED else []


def _credit_refused(transfer_id: str, code: str, message: str) -> Emit:
    return Emit("accounts.RecordCreditRefused", transfer_id, {"code": code, "message": message})
