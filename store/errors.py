"""What Redis says went wrong, whether waiting mends it, and what does: the one place that knows its errors."""

from __future__ import annotations

import re
import ssl
from typing import Any

from redis import Redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterError,
    DataError,
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eventfold.schemas.errors import Outlook

_PERMITTED = (NoPermissionError, AuthorizationError)
_KNOWN = (AuthenticationError, AuthenticationWrongNumberOfArgsError)
_FOREIGN = (AskError, ClusterCrossSlotError)
_LASTS = (*_PERMITTED, *_KNOWN, *_FOREIGN, DataError, InvalidResponse)
_PASSES = (
    BusyLoadingError,
    ClusterError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisConnectionError,
    RedisTimeoutError,
    TryAgainError,
)
# What has no class of its own. Before Redis 7 the error of a command amid a script is quoted in another one. WRONGTYPE is in
# neither: a slice whose key holds something else is torn, and folded anew once that is seen.
_LASTS_SAID = re.compile(
    r"NOPROTO |unknown command|wrong number of arguments|DB index is out of range"
    r"|The user executing the script can't run this command|-NOPERM "
)
_PASSES_SAID = re.compile(r"MISCONF |NOREPLICAS |BUSY |UNKILLABLE |-(?:OOM|READONLY|LOADING|MASTERDOWN) ")
_DENIED = re.compile(r"run the '([^']+)' command")
_MB = 1 << 20


def outlook(fault: RedisError) -> Outlook:
    """Whether it passes. A Redis that is full, or takes no writes for another reason, passes: what it holds can be read."""
    text = str(fault)
    if isinstance(fault, _LASTS) or _LASTS_SAID.search(text) or _refuses_certificate(fault):
        return Outlook.LASTS
    if isinstance(fault, _PASSES) or _PASSES_SAID.search(text):
        return Outlook.PASSES
    return Outlook.UNKNOWN


def is_away(fault: Exception) -> bool:
    """Whether Redis did not answer."""
    away = isinstance(fault, RedisConnectionError | RedisTimeoutError)
    return away and not isinstance(fault, AuthenticationError | AuthorizationError | BusyLoadingError)


def told(fault: RedisError, redis: Redis) -> str:
    """What Redis says, for a person: about which user and command, and what to do.

    redis: the client that failed; how full its Redis is, is asked of it, where that is the trouble.
    """
    text = str(fault)
    return f"Redis at {_address(redis)}: {text}{_way_on(fault, text, redis)}"


def _way_on(fault: RedisError, text: str, redis: Redis) -> str:
    user = _options(redis).get("username") or "default"
    if isinstance(fault, _KNOWN):
        return f" (user {user}): look at the user and the password in REDIS_URL"
    if isinstance(fault, _PERMITTED) or "can't run this command" in text or "-NOPERM " in text:
        denied = _DENIED.search(text)
        if denied is not None:
            return f" (user {user}): allow it, `ACL SETUSER {user} +{denied[1]}`, or name another user in REDIS_URL"
        return f" (user {user}): let it do what eventfold's scripts do, `ACL SETUSER {user} ~* +@read +@write`"
    if isinstance(fault, OutOfMemoryError) or "-OOM " in text:
        return f" ({_memory(redis)}): raise maxmemory, or delete what is not needed (`eventfold generations`)"
    if isinstance(fault, ReadOnlyError) or "-READONLY " in text:
        return ": a failover is under way, or REDIS_URL names a replica"
    if isinstance(fault, _FOREIGN):
        return ": REDIS_URL names a node of a cluster; eventfold needs one Redis that has all keys"
    if "WRONGTYPE " in text:
        return ": another program writes under eventfold's keys; give each a database of its own"
    if "unknown command" in text or "NOPROTO " in text or "wrong number of arguments" in text:
        return ": eventfold needs Redis 7 or newer, with no command renamed"
    if "MISCONF " in text:
        return ": look at the disk and the log of Redis"
    return ""


def _memory(redis: Redis) -> str:
    try:
        found: Any = redis.info("memory")
    except RedisError:
        return "how full it is cannot be asked"
    return _used(found)


def _used(found: Any) -> str:
    return f"{found['used_memory'] / _MB:,.1f} MB are used of {found.get('maxmemory', 0) / _MB:,.1f} MB"


def is_full(redis: Redis) -> str | None:
    """How much memory is used of how much, once no more can be written; None before."""
    found: Any = redis.info("memory")
    limit = found.get("maxmemory") or 0
    return _used(found) if limit and found["used_memory"] >= limit else None


def _address(redis: Redis) -> str:
    options = _options(redis)
    return str(options.get("path") or f"{options.get('host')}:{options.get('port')}")


def _options(redis: Redis) -> dict[str, Any]:
    found: dict[str, Any] = redis.connection_pool.connection_kwargs
    return found


def _refuses_certificate(fault: BaseException | None) -> bool:
    """Whether it came of a certificate that is not to be trusted."""
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False
