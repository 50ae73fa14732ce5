"""`eventfold accounts …`: open and close an account, put money in and take it out, move it to another account."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click

from accounts import money
from eventfold import Outcome, UsageError
from eventfold.producers.cli import begun, command_options, pass_write_side, submit
from eventfold.producers.write_side import WriteSide
from eventfold.schemas.ids import checked_id, checked_key, derived_id


class Amount(click.ParamType):  # type: ignore[type-arg]
    """An amount in the currency's units, exact: 100.00."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            return money.parse(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Id(click.ParamType):  # type: ignore[type-arg]
    """The id of an account or a transfer."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return checked_key(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Code(click.ParamType):  # type: ignore[type-arg]
    """A currency of ISO 4217."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).upper()
        if len(text) != 3 or not text.isascii() or not text.isalpha():
            self.fail(f"{value!r} is not a currency; write its three letters, e.g. EUR", param, ctx)
        return text


AMOUNT, ID, CODE = Amount(), Id(), Code()


def _moves_money(command: Callable[..., None]) -> Callable[..., None]:
    """The parameters of a command that moves money into one account or out of it."""
    for declare in (
        pass_write_side,
        command_options,
        click.option("--currency", type=CODE, help="Refuse it if the account is in another one."),
        click.argument("amount", type=AMOUNT),
        click.argument("id", type=ID),
    ):
        command = declare(command)
    return command


@click.group()
def group() -> None:
    """Open accounts, and move money in, out and between them."""


@group.command("open")
@click.argument("id", type=ID)
@click.option("--owner", required=True, help="The name of who owns it.")
@click.option("--currency", type=CODE, required=True, help="Three letters of ISO 4217, e.g. EUR.")
@command_options
@pass_write_side
def open_(write_side: WriteSide, id: str, owner: str, currency: str, options: dict[str, Any]) -> None:
    """Open an account."""
    submit(write_side, "accounts.OpenAccount", id, {"owner": owner, "currency": currency}, options)


@group.command()
@_moves_money
def deposit(write_side: WriteSide, id: str, amount: Decimal, currency: str | None, options: dict[str, Any]) -> None:
    """Put money into an account: AMOUNT in units of its currency, e.g. 100.00."""
    submit(write_side, "accounts.Deposit", id, {"amount": amount, "currency": currency}, options)


@group.command()
@_moves_money
def withdraw(write_side: WriteSide, id: str, amount: Decimal, currency: str | None, options: dict[str, Any]) -> None:
    """Take money out of an account: AMOUNT in units of its currency, e.g. 100.00."""
    submit(write_side, "accounts.Withdraw", id, {"amount": amount, "currency": currency}, options)


@group.command()
@click.argument("id", type=ID)
@command_options
@pass_write_side
def close(write_side: WriteSide, id: str, options: dict[str, Any]) -> None:
    """Close an account that holds nothing, for good."""
    submit(write_side, "accounts.CloseAccount", id, {}, options)


@group.command()
@click.argument("from_account", metavar="FROM", type=ID)
@click.argument("to_account", metavar="TO", type=ID)
@click.argument("amount", type=AMOUNT)
@click.option("--id", "transfer_id", type=ID, help="The transfer's own id; one that follows from the command's, if not given.")
@click.option(
    "--deadline",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, 365 * 86_400, min_open=True),
    help="Seconds after which a transfer that has not ended is given up and the money given back.",
)
@command_options
@pass_write_side
def transfer(
    write_side: WriteSide,
    from_account: str,
    to_account: str,
    amount: Decimal,
    transfer_id: str | None,
    deadline: float,
    options: dict[str, Any],
) -> None:
    """Request a transfer of AMOUNT from one account to another.

    Accepted means that it will be tried: whether the money arrives, `eventfold query transfers` tells.
    """
    command_id = checked_id(options["command_id"])
    # The same command id again must mean the same transfer, with the same deadline.
    id_ = transfer_id or derived_id(command_id, "transfer")
    data = {
        "from_account": from_account,
        "to_account": to_account,
        "amount": amount,
        "deadline": begun(options, "the deadline is counted from it") + round(deadline * 1000),
    }

    def asked(outcome: Outcome | None) -> str:
        after = "" if outcome is None or not outcome.accepted else f" --after {outcome.positions[0]}"
        return f"transfer {id_}; what becomes of it: eventfold query transfers {shlex.quote(id_)}{after}"

    submit(
        write_side,
        "accounts.RequestTransfer",
        id_,
        data,
        options,
        more={"transfer_id": id_},
        then=asked,
    )


@group.command()
@click.argument("transfer_id", metavar="TRANSFER", type=ID)
@command_options
@pass_write_side
def expire(write_side: WriteSide, transfer_id: str, options: dict[str, Any]) -> None:
    """Give up a transfer that stands still before its money arrived, so that it is given back.

    Safe at any time: a transfer that has ended refuses it.
    """
    submit(write_side, "accounts.ExpireTransfer", transfer_id, {}, options)


@group.command("retry-refund")
@click.argument("transfer_id", metavar="TRANSFER", type=ID)
@command_options
@pass_write_side
def retry_refund(write_side: WriteSide, transfer_id: str, options: dict[str, Any]) -> None:
    """Ask once more for the refund of a transfer that is returned and stands still.

    Safe at any time: a debit is refunded once.
    """
    submit(write_side, "accounts.RetryRefund", transfer_id, {}, options)
