"""What each error of Redis means: whether it passes. What a person is told is in tests/integration/test_faults_of_redis.py."""

from __future__ import annotations

import ssl

import pytest
from redis import exceptions as of

from eventfold.schemas.errors import Outlook
from eventfold.store.errors import is_away, outlook

AMID_A_SCRIPT = "Error running script (call to f_0): @user_script:1: @user_script: 1: -"
CASES: list[tuple[of.RedisError, Outlook]] = [
    (of.NoPermissionError("this user has no permissions to run the 'hset' command"), Outlook.LASTS),
    (
        of.ResponseError(
            "The user executing the script can't run this command or subcommand script: 08be99, on @user_script:1."
        ),
        Outlook.LASTS,
    ),
    (of.ResponseError(AMID_A_SCRIPT + "NOPERM this user has no permissions"), Outlook.LASTS),
    (of.AuthenticationError("invalid username-password pair or user is disabled."), Outlook.LASTS),
    (of.AuthenticationError("Authentication required."), Outlook.LASTS),
    (of.AuthorizationError("no"), Outlook.LASTS),
    (of.ResponseError("unknown command 'XADD', with args beginning with: "), Outlook.LASTS),
    (of.ResponseError("DB index is out of range"), Outlook.LASTS),
    (of.MovedError("1 127.0.0.1:7000"), Outlook.LASTS),
    (of.InvalidResponse("Protocol Error: b'HTTP'"), Outlook.LASTS),
    (of.ConnectionError("Error 111 connecting to localhost:1. Connection refused."), Outlook.PASSES),
    (of.TimeoutError("Timeout reading from socket"), Outlook.PASSES),
    (of.BusyLoadingError("Redis is loading the dataset in memory"), Outlook.PASSES),
    (of.ReadOnlyError("You can't write against a read only replica."), Outlook.PASSES),
    (of.ResponseError(AMID_A_SCRIPT + "READONLY You can't write against a read only replica."), Outlook.PASSES),
    (of.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), Outlook.PASSES),
    (of.ResponseError(AMID_A_SCRIPT + "OOM command not allowed when used memory > 'maxmemory'."), Outlook.PASSES),
    (
        of.ResponseError("MISCONF Redis is configured to save RDB snapshots, but"),
        Outlook.PASSES,
    ),
    (of.ResponseError("NOREPLICAS Not enough good replicas to write."), Outlook.PASSES),
    (of.NoScriptError("No matching script."), Outlook.PASSES),
    (of.ClusterDownError("The cluster is down"), Outlook.PASSES),
    (of.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), Outlook.UNKNOWN),
    (of.ResponseError("something new"), Outlook.UNKNOWN),
]


@pytest.mark.parametrize(("fault", "expected"), CASES, ids=lambda of_: str(of_)[:40])
def test_whether_it_passes(fault: of.RedisError, expected: Outlook) -> None:
    assert outlook(fault) is expected
    # As a pipeline tells it.
    fault.args = (f"Command # 1 (HSET a b c) of pipeline caused error: {fault}",)
    assert outlook(fault) is expected


def test_of_a_certificate_that_is_not_trusted_nothing_passes() -> None:
    fault = of.ConnectionError("Error 1 connecting to redis:6379. certificate verify failed")
    fault.__cause__ = ssl.SSLCertVerificationError("certificate verify failed")
    assert outlook(fault) is Outlook.LASTS


@pytest.mark.parametrize(
    ("fault", "away"),
    [
        (of.ConnectionError("refused"), True),
        (of.TimeoutError("late"), True),
        (of.AuthenticationError("no"), False),
        (of.BusyLoadingError("soon"), False),
        (of.OutOfMemoryError("full"), False),
    ],
)
def test_who_does_not_answer_is_away(fault: of.RedisError, away: bool) -> None:
    assert is_away(fault) is away
