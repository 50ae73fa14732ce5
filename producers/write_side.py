"""What the command line, and any other front, needs to send commands and facts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from eventfold.kafka.publisher import Publisher
from eventfold.kafka.settings import KafkaSettings
from eventfold.producers.commands import CommandSender
from eventfold.schemas.names import Names
from eventfold.store.connection import Redis
from eventfold.store.outcomes import Outcomes

if TYPE_CHECKING:
    from eventfold.schemas.codec import Codec


class WriteSide:
    """Connections made when they are first used."""

    def __init__(self, kafka: KafkaSettings, redis: Redis, codec: Callable[[], Codec], decides: Callable[[str], bool]) -> None:
        self.kafka = kafka
        self.names = Names(prefix=kafka.prefix)
        self.outcomes = Outcomes(redis)
        self.decides = decides
        self._codec = codec

    @cached_property
    def codec(self) -> Codec:
        return self._codec()

    def publisher(self, linger_ms: float = 0) -> Publisher:
        return Publisher(self.kafka, linger_ms=linger_ms)

    def sender(self, source: str, linger_ms: float = 0) -> CommandSender:
        """A sender of commands under a CloudEvents source, e.g. `/eventfold/cli`."""
        return CommandSender(self.publisher(linger_ms), self.codec, self.names, self.outcomes, source)
