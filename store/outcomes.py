"""What became of a command: a short-lived key in Redis that its submitter waits for.

Key: `{<commands topic>:<partition>}:outcome:<scoped id>:<fingerprint>` (see eventfold.schemas.ids.scoped_id and
eventfold.schemas.fingerprint), JSON; in the hash slot of the partition so that a handler writes all of a batch in one call. So
who used an id that another had used before is told that, and not the other's outcome. The lasting proof is in Kafka: the
event's `causationid`, or the refusal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, NamedTuple

import orjson
from redis import Redis
from redis.exceptions import RedisError

from eventfold.schemas.errors import TimedOutError
from eventfold.schemas.ids import scoped_id
from eventfold.schemas.position import Position

KEPT_S = 900
CONFLICT = "conflict"
"""The code of a refusal because the aggregate is at another version than the command expects."""
REUSED = "id-reused"
"""The code of a refusal because another command had this id before: another type, other data, or somebody else's."""
FORBIDDEN = "forbidden"
"""The code of a refusal because who asks may not."""
_POLL_S = (0.002, 0.05)
_WRITE = """
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i + 1], 'EX', ARGV[1])
end
"""


class OutcomeUnknownError(TimedOutError):
    """What became of the command `command_id` could not be learnt; the text says why, and what to do."""

    def __init__(self, command_id: str, why: str) -> None:
        super().__init__(f"the outcome of command {command_id} is unknown {why}")
        self.command_id = command_id


class Reference(NamedTuple):
    """By what the outcome of a command is known: its id, its aggregate's, and the fingerprint of what it asks for."""

    command_id: str
    key: str
    fingerprint: bytes

    @property
    def parts(self) -> tuple[str, str]:
        """The part of its key in Redis that is its own, and that of a command that the handler could not read."""
        scoped = scoped_id(self.command_id, self.key)
        return key_part(scoped, self.fingerprint), key_part(scoped, b"")


def key_part(scoped: bytes, fingerprint: bytes) -> str:
    """The part of an outcome's key in Redis that is its own."""
    return f"{scoped.hex()}:{fingerprint.hex()}"


def reused_text(command_id: str, key: str) -> str:
    """The message of a refusal because the id is another command's."""
    return (
        f"the id {command_id} belongs to another command to {key}: of another type, with other data, or of somebody else; send "
        "this one under an id of its own"
    )


def again(command_id: str, key: str) -> str:
    """What to do about a command whose outcome is unknown."""
    return (
        f"ask for it with `eventfold outcome {command_id} --key {quote(key)}`, or send it again with "
        f"--command-id {command_id}, it acts only once"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a handler decided, once for ever.

    accepted: with `version` (of the aggregate after it) and the `positions` of its events.
    refused: with `code` and `message`, and the `version` it was refused at where that was known.
    """

    command_id: str
    accepted: bool
    version: int | None = None
    positions: tuple[Position, ...] = ()
    code: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """As programs read it."""
        shown: dict[str, Any] = {"command_id": self.command_id, "outcome": "accepted" if self.accepted else "refused"}
        if self.accepted:
            shown["positions"] = [str(position) for position in self.positions]
        else:
            shown |= {"code": self.code, "message": self.message}
        if self.version is not None:
            shown["version"] = self.version
        return shown

    @classmethod
    def parse(cls, stored: bytes) -> Outcome:
        body = orjson.loads(stored)
        return cls(
            command_id=body["command_id"],
            accepted=body["outcome"] == "accepted",
            version=body.get("version"),
            positions=tuple(Position.parse(text) for text in body.get("positions", ())),
            code=body.get("code", ""),
            message=body.get("message", ""),
        )


class Outcomes:
    """Writes and awaits outcomes."""

    def __init__(self, redis: Redis, sleep: Callable[[float], None] = time.sleep) -> None:
        """sleep: how to wait."""
        self._redis = redis
        self._sleep = sleep
        self._script = redis.register_script(_WRITE)

    def write(self, topic: str, partition: int, outcomes: Sequence[tuple[str, Outcome]]) -> None:
        """Make the outcomes of one partition's commands known, each with its `key_part`, for a quarter of an hour."""
        keys = [outcome_key(topic, partition, part) for part, _ in outcomes]
        self._script(keys=keys, args=[KEPT_S, *(orjson.dumps(outcome.to_json()) for _, outcome in outcomes)])

    def get(self, keys: Sequence[str]) -> Outcome | None:
        """The outcome that lies under one of these keys (`outcome_key`), if it is known by now."""
        found: Any = self._redis.mget(*keys)
        return next((Outcome.parse(stored) for stored in found if stored is not None), None)

    def wait(self, topic: str, partition: int, of: Reference, timeout_s: float) -> Outcome:
        """The outcome as soon as it is known; OutcomeUnknownError when it is not within `timeout_s`, or when Redis fails."""
        command_id, key = of.command_id, of.key
        keys = [outcome_key(topic, partition, part) for part in of.parts]
        deadline = time.monotonic() + timeout_s
        pause = _POLL_S[0]
        try:
            while (outcome := self.get(keys)) is None:
                if time.monotonic() + pause > deadline:
                    raise OutcomeUnknownError(command_id, f"after {timeout_s:g} s: {_sent(topic)}; {again(command_id, key)}")
                self._sleep(pause)
                pause = min(pause * 1.5, _POLL_S[1])
        except RedisError as error:
            why = f"since Redis does not tell it ({error}): {_sent(topic)}; {again(command_id, key)}"
            raise OutcomeUnknownError(command_id, why) from error
        return outcome


def _sent(topic: str) -> str:
    return f"it is in {topic} and may still be decided"


def outcome_key(topic: str, partition: int, part: str) -> str:
    """Under which key an outcome lies; part: see `key_part`."""
    return f"{{{topic}:{partition}}}:outcome:{part}"
