"""What may happen to one transfer. It holds no money: it remembers how far both accounts have come (docs/accounts.md).

The state, `{}` before the request: `status`, and what its events repeat (`from_account`, `to_account`, `amount` (in units),
`currency` once the debit has told it, `deadline`).
"""

from __future__ import annotations

from typing import Any

from accounts.account import not_an_id
from accounts.money import number, text, units
from eventfold import Decider, Decision, Message, Refusal, State

REQUESTED, DEBITED, OVERDUE, RETURNED = "requested", "debited", "overdue", "returned"
COMPLETED, FAILED, COMPENSATED = "completed", "failed", "compensated"
DEADLINE, RECORD_LOST = "deadline", "record-lost"

_ROUTE = ("from_account", "to_account", "amount")
_STATUS = {
    "accounts.TransferRequested": REQUESTED,
    "accounts.TransferDebited": DEBITED,
    "accounts.TransferOverdue": OVERDUE,
    "accounts.TransferReturned": RETURNED,
    "accounts.TransferCompleted": COMPLETED,
    "accounts.TransferFailed": FAILED,
    "accounts.TransferCompensated": COMPENSATED,
}
EVENTS = frozenset(_STATUS)


def decide(state: State, command: Message) -> Decision:
    return _RULES[command.type](state, command.data)


def evolve(state: State, event: Message) -> State:
    data = event.data
    match event.type:
        case "accounts.TransferRequested":
            kept = {name: data[name] for name in (*_ROUTE, "deadline")}
            return {"status": REQUESTED, "currency": None, **kept, "amount": units(data["amount"])}
        case "accounts.TransferDebited":
            return {**state, "status": DEBITED, "currency": data["currency"]}
        case "accounts.TransferReturned":
            return {**state, "status": RETURNED, **{name: data[name] for name in ("currency", "code", "message")}}
        case type_ if type_ in _STATUS:
            return {**state, "status": _STATUS[type_]}
        case _:
            return state


def _request(state: State, data: dict[str, Any]) -> Decision:
    if state:
        return Refusal(code="already-requested", message="the transfer was requested already")
    for id_ in (data["from_account"], data["to_account"]):
        if refusal := not_an_id(id_):
            return refusal
    if data["from_account"] == data["to_account"]:
        return Refusal(code="same-account", message="a transfer needs two accounts")
    if data["amount"] <= 0:
        return Refusal(code="amount-not-positive", message=f"{text(units(data['amount']), None)} is not more than 0")
    return [Message("accounts.TransferRequested", {name: data[name] for name in (*_ROUTE, "deadline")})]


def _debited(state: State, data: dict[str, Any]) -> Decision:
    if refusal := _unless(state, REQUESTED, FAILED):
        return refusal
    if state["status"] == FAILED:
        return _returned(state, data["currency"], DEADLINE, "the debit came after the deadline")
    if data["currency"] is None:
        return _returned(state, None, RECORD_LOST, "the record of the debit was not decided in time")
    debited = {**_route(state), "currency": data["currency"], "deadline": state["deadline"]}
    return [Message("accounts.TransferDebited", debited)]


def _fail(state: State, data: dict[str, Any]) -> Decision:
    return _unless(state, REQUESTED) or _failed(state, data["code"], data["message"])


def _credited(state: State, data: dict[str, Any]) -> Decision:
    completed = Message("accounts.TransferCompleted", {**_route(state), "currency": state.get("currency")})
    return _unless(state, DEBITED, OVERDUE) or [completed]


def _credit_refused(state: State, data: dict[str, Any]) -> Decision:
    if refusal := _unless(state, DEBITED, OVERDUE):
        return refusal
    return _returned(state, state["currency"], data["code"], data["message"])


def _refunded(state: State, data: dict[str, Any]) -> Decision:
    compensated = Message("accounts.TransferCompensated", {**_route(state), "currency": state.get("currency")})
    return _unless(state, RETURNED) or [compensated]


def _expire(state: State, data: dict[str, Any]) -> Decision:
    match state.get("status"):
        case "requested":
            return _failed(state, DEADLINE, "the account that was to pay did not answer before the deadline")
        case "debited" | "overdue":
            return [Message("accounts.TransferOverdue", {**_route(state), "currency": state["currency"]})]
        case _:
            return _unfit(state)


def _retry_refund(state: State, data: dict[str, Any]) -> Decision:
    if refusal := _unless(state, RETURNED):
        return refusal
    return _returned(state, state["currency"], state["code"], state["message"])


_RULES = {
    "accounts.RequestTransfer": _request,
    "accounts.RecordDebit": _debited,
    "accounts.FailTransfer": _fail,
    "accounts.RecordCredit": _credited,
    "accounts.RecordCreditRefused": _credit_refused,
    "accounts.RecordRefund": _refunded,
    "accounts.ExpireTransfer": _expire,
    "accounts.RetryRefund": _retry_refund,
}
COMMANDS = frozenset(_RULES)


def _unless(state: State, *statuses: str) -> Refusal | None:
    return None if state.get("status") in statuses else _unfit(state)


def _unfit(state: State) -> Refusal:
    if not state:
        return Refusal(code="not-requested", message="there is no such transfer: it was never requested")
    return Refusal(code="wrong-state", message=f"a transfer that is {state['status']} does not take this")


def _failed(state: State, code: str, message: str) -> Decision:
    return [Message("accounts.TransferFailed", {"code": code, "message": message, **_route(state)})]


def _returned(state: State, currency: str | None, code: str, message: str) -> Decision:
    returned = {**_route(state), "currency": currency, "code": code, "message": message}
    return [Message("accounts.TransferReturned", returned)]


def _route(state: State) -> dict[str, Any]:
    return {**{name: state.get(name) for name in _ROUTE}, "amount": number(state.get("amount", 0))}


decider = Decider(version=1, initial=dict, decide=decide, evolve=evolve)
