"""The names of topics and groups, all under one optional prefix (`EVENTFOLD_TOPIC_PREFIX`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eventfold.schemas.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def checked_name(name: str, what: str) -> str:
    """A domain's or projection's name, which becomes part of topics and keys; UsageError when it cannot."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} cannot name a {what}: small letters, digits, '-' and '_' only, a letter first")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Every name in Kafka that eventfold chooses."""

    prefix: str = ""

    def topic(self, name: str) -> str:
        """The topic that a declaration calls `name`."""
        return self.prefix + name

    def commands(self, domain: str) -> str:
        return f"{self.prefix}{domain}.commands"

    def internal(self, domain: str) -> str:
        """Commands of process managers, which nobody else may write."""
        return f"{self.prefix}{domain}.internal"

    def events(self, domain: str) -> str:
        return f"{self.prefix}{domain}.events"

    def refusals(self, domain: str) -> str:
        return f"{self.prefix}{domain}.refusals"

    def dead_letters(self, domain: str) -> str:
        return f"{self.prefix}{domain}.dead-letters"

    def letters_of(self, topic: str) -> str:
        """The dead-letter topic of the domain whose topic (with the prefix) this is."""
        return self.dead_letters(topic.removeprefix(self.prefix).partition(".")[0])

    def projection_group(self, projection: str) -> str:
        return self.prefix + projection

    def replay_group(self, projection: str, generation: str) -> str:
        """Who feeds a generation that is not live."""
        return f"{self.prefix}{projection}.replay.{generation}"

    def process_manager_group(self, name: str) -> str:
        """Not the bare name: a process manager and the read model of its processes may well be called alike."""
        return f"{self.prefix}{name}.process-manager"

    def handler_group(self, domain: str) -> str:
        return f"{self.prefix}{domain}.handler"
