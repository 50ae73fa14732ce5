"""What may happen to one account: money in and out, and its half of each transfer.

The state, `{}` for an id without an event: `status` (open or closed, absent before the account is opened), `currency`,
`balance`, `actor` (who opened it, where that is known), `debits` (what left for a transfer that may still bring it back:
{transfer id: amount}), `credits` (the transfers that brought money and are not completed yet: {transfer id: true}) and
`cancelled` (the transfers whose credit was cancelled, for good). Amounts are ints there (accounts.money). An id of which only
credits were cancelled is no account yet, and may be opened. Open debits keep their place in the balance: nothing may fill it up
so that a refund would not fit.

The state is bounded: of each of the three it has at most `MOST`, and what would be one more is refused. A cancellation is
never forgotten, since its credit may be late by any time; a closed account remembers no further ones, since it takes no credit.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from accounts.money import LARGEST, exponent, number, text, too_fine, units
from eventfold import Decider, Decision, Message, Refusal, State, UsageError
from eventfold.schemas.ids import checked_key

OPEN, CLOSED = "open", "closed"
MOST = 1_000
# Ids as they are made by default and by most others; what is longer is remembered by its digest, which cannot be such an id.
_SHORT = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


def decide(state: State, command: Message) -> Decision:
    return _RULES[command.type](state, command.data)


def evolve(state: State, event: Message) -> State:
    data = event.data
    match event.type:
        case "accounts.AccountOpened":
            return _opened(state, event)
        case "accounts.AccountClosed":
            return {**state, "status": CLOSED}
        case "accounts.AccountDebited":
            debits = {**state["debits"], _named(data): units(data["amount"])}
            return {**state, "balance": units(data["balance"]), "debits": debits}
        case "accounts.AccountRefunded":
            return {**state, "balance": units(data["balance"]), "debits": _without(state["debits"], data)}
        case "accounts.DebitSettled":
            return {**state, "debits": _without(state["debits"], data)}
        case "accounts.AccountCredited":
            return {**state, "balance": units(data["balance"]), "credits": {**state["credits"], _named(data): True}}
        case "accounts.CreditCancelled":
            return state if state.get("status") == CLOSED else {**state, "cancelled": [*_cancelled(state), _named(data)]}
        case "accounts.CreditSettled":
            return {**state, "credits": _without(state["credits"], data)}
        case "accounts.MoneyDeposited" | "accounts.MoneyWithdrawn":
            return {**state, "balance": units(data["balance"])}
        case _:
            return state


def _opened(state: State, event: Message) -> State:
    by = {} if event.actor is None else {"actor": event.actor.id}
    new = {"status": OPEN, "currency": event.data["currency"], "balance": 0, "debits": {}, "credits": {}}
    return {"cancelled": [], **state, **new, **by}


def _open(state: State, data: dict[str, Any]) -> Decision:
    if state.get("status") == OPEN:
        return Refusal(code="already-open", message="the account is open already")
    if state.get("status") == CLOSED:
        return _CLOSED
    if not data["owner"].strip():
        return Refusal(code="no-owner", message="an account needs the name of its owner")
    if exponent(data["currency"]) is None:
        return Refusal(code="unknown-currency", message=f"{data['currency']!r} is no currency of ISO 4217, e.g. EUR")
    return [Message("accounts.AccountOpened", {"owner": data["owner"], "currency": data["currency"]})]


def _deposit(state: State, data: dict[str, Any]) -> Decision:
    if refusal := _not_open(state) or _wrong_amount(state, data) or _too_large(state, units(data["amount"])):
        return refusal
    return [Message("accounts.MoneyDeposited", _moved(state, units(data["amount"])))]


def _withdraw(state: State, data: dict[str, Any]) -> Decision:
    if refusal := _not_open(state) or _wrong_amount(state, data) or _overdraft(state, units(data["amount"])):
        return refusal
    return [Message("accounts.MoneyWithdrawn", _moved(state, -units(data["amount"])))]


def _close(state: State, data: dict[str, Any]) -> Decision:
    if refusal := _not_open(state):
        return refusal
    if state["balance"]:
        return Refusal(code="balance-not-zero", message=f"the account still holds {text(state['balance'], state['currency'])}")
    if state["debits"]:
        return Refusal(
            code="transfers-pending", message=f"{len(state['debits'])} transfers from the account may still bring money back"
        )
    return [Message("accounts.AccountClosed", {"currency": state["currency"]})]


def _debit(state: State, data: dict[str, Any]) -> Decision:
    if refusal := not_an_id(data["transfer_id"]) or _not_open(state):
        return refusal
    if _named(data) in state["debits"]:
        return Refusal(code="already-debited", message=f"the transfer {data['transfer_id']} was debited already")
    if refusal := _wrong_amount(state, data) or _overdraft(state, units(data["amount"])) or _too_many(state["debits"]):
        return refusal
    to = {"transfer_id": data["transfer_id"], "to_account": data["to_account"]}
    return [Message("accounts.AccountDebited", {**to, **_moved(state, -units(data["amount"]))})]


def _credit(state: State, data: dict[str, Any]) -> Decision:
    # First what is known of the transfer, so that an answer that was given as an event is not contradicted.
    if refusal := not_an_id(data["transfer_id"]) or _answered(state, data):
        return refusal
    if refusal := _not_open(state) or _wrong_amount(state, data) or _too_large(state, units(data["amount"])):
        return refusal
    if refusal := _too_many(state["credits"]):
        return refusal
    of = {"transfer_id": data["transfer_id"], "from_account": data["from_account"]}
    return [Message("accounts.AccountCredited", {**of, **_moved(state, units(data["amount"]))})]


def _cancel(state: State, data: dict[str, Any]) -> Decision:
    """Also of an account that is closed or unknown: what it proves is that no credit will come."""
    if refusal := not_an_id(data["transfer_id"]) or _answered(state, data):
        return refusal
    if state.get("status") != CLOSED and len(_cancelled(state)) >= MOST:
        return Refusal(code="too-many-cancelled", message=f"the account remembers {MOST:,} cancelled credits, the most it can")
    return [Message("accounts.CreditCancelled", {"transfer_id": data["transfer_id"]})]


def _refund(state: State, data: dict[str, Any]) -> Decision:
    amount = state.get("debits", {}).get(_named(data))
    if amount is None:
        return _no_such("debit", data["transfer_id"])
    return [Message("accounts.AccountRefunded", {"transfer_id": data["transfer_id"], **_moved(state, amount)})]


def _settle_debit(state: State, data: dict[str, Any]) -> Decision:
    if _named(data) not in state.get("debits", {}):
        return _no_such("debit", data["transfer_id"])
    return [Message("accounts.DebitSettled", {"transfer_id": data["transfer_id"]})]


def _settle_credit(state: State, data: dict[str, Any]) -> Decision:
    if _named(data) not in state.get("credits", {}):
        return _no_such("credit", data["transfer_id"])
    return [Message("accounts.CreditSettled", {"transfer_id": data["transfer_id"]})]


_RULES = {
    "accounts.OpenAccount": _open,
    "accounts.Deposit": _deposit,
    "accounts.Withdraw": _withdraw,
    "accounts.CloseAccount": _close,
    "accounts.DebitAccount": _debit,
    "accounts.CreditAccount": _credit,
    "accounts.CancelCredit": _cancel,
    "accounts.RefundDebit": _refund,
    "accounts.SettleDebit": _settle_debit,
    "accounts.SettleCredit": _settle_credit,
}
COMMANDS = frozenset(_RULES)
EVENTS = frozenset(
    f"accounts.{name}"
    for name in (
        *("AccountOpened", "AccountClosed", "MoneyDeposited", "MoneyWithdrawn"),
        *("AccountDebited", "DebitSettled", "AccountRefunded"),
        *("AccountCredited", "CreditSettled", "CreditCancelled"),
    )
)


def not_an_id(text: str) -> Refusal | None:
    """What an event names must be able to be the key of the command that follows from it, or its follower would stand still."""
    try:
        checked_key(text)
    except UsageError as error:
        return Refusal(code="not-an-id", message=str(error))
    return None


_CLOSED = Refusal(code="closed", message="the account is closed")


def _not_open(state: State) -> Refusal | None:
    match state.get("status"):
        case "open":
            return None
        case "closed":
            return _CLOSED
        case _:
            return Refusal(code="not-open", message="there is no such account: it was never opened")


def _wrong_amount(state: State, data: dict[str, Any]) -> Refusal | None:
    amount, currency, given = units(data["amount"]), state["currency"], data.get("currency")
    if given is not None and given != currency:
        return Refusal(code="other-currency", message=f"the account is in {currency}, not in {given}")
    if amount <= 0:
        return Refusal(code="amount-not-positive", message=f"{text(amount, currency)} is not more than 0")
    if too_fine(amount, currency):
        return Refusal(code="amount-too-fine", message=f"{currency} has no amounts as fine as {text(amount, currency)}")
    return None


def _overdraft(state: State, amount: int) -> Refusal | None:
    if amount <= state["balance"]:
        return None
    currency = state["currency"]
    return Refusal(
        code="overdraft", message=f"{text(amount, currency)} is more than the balance, {text(state['balance'], currency)}"
    )


def _too_large(state: State, amount: int) -> Refusal | None:
    if state["balance"] + sum(state["debits"].values()) + amount <= LARGEST:
        return None
    return Refusal(
        code="balance-too-large", message=f"an account holds at most {text(LARGEST, None)}, pending transfers included"
    )


def _answered(state: State, data: dict[str, Any]) -> Refusal | None:
    name, transfer_id = _named(data), data["transfer_id"]
    if name in state.get("credits", {}):
        return Refusal(code="already-credited", message=f"the transfer {transfer_id} was credited already")
    if name in _cancelled(state):
        return Refusal(code="credit-cancelled", message=f"the credit of the transfer {transfer_id} was cancelled")
    return None


def _cancelled(state: State) -> list[str]:
    found: list[str] = state.get("cancelled", [])
    return found


def _too_many(pending: dict[str, Any]) -> Refusal | None:
    if len(pending) < MOST:
        return None
    return Refusal(code="too-many-transfers", message=f"{MOST:,} transfers of the account are under way, the most there can be")


def _no_such(what: str, transfer_id: str) -> Refusal:
    return Refusal(code=f"no-such-{what}", message=f"the account has no open {what} of the transfer {transfer_id}")


def _moved(state: State, by: int) -> dict[str, Any]:
    return {"amount": number(abs(by)), "currency": state["currency"], "balance": number(state["balance"] + by)}


def _without(entries: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    name = _named(data)
    return {id_: entry for id_, entry in entries.items() if id_ != name}


def _named(data: dict[str, Any]) -> str:
    """What a transfer is remembered under: its id, of which a few are as long as 512 characters."""
    id_: str = data["transfer_id"]
    return id_ if _SHORT.fullmatch(id_) else f"~{hashlib.sha256(id_.encode()).hexdigest()[:32]}"


decider = Decider(version=2, initial=dict, decide=decide, evolve=evolve)
