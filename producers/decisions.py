"""How far a domain's handler has come with commands that nobody waits for one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from eventfold.kafka.errors import KafkaException, said
from eventfold.kafka.group_offsets import GroupOffsets
from eventfold.kafka.range_reader import RangeReader, SilentError
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.schemas.envelope import header
from eventfold.schemas.errors import TimedOutError
from eventfold.schemas.names import Names

_POLL_S = 0.2


class Decisions:
    """Reads the offsets of a handler's group, and the refusals it wrote."""

    def __init__(self, settings: KafkaSettings, names: Names, domain: str) -> None:
        self._settings = settings
        self._group = names.handler_group(domain)
        self._commands = names.commands(domain)
        self._refusals = names.refusals(domain)
        self._topics = Topics(settings)
        self._log = RangeReader(settings, names.topic("eventfold.decisions"))

    def wait(self, ends: Mapping[int, int], timeout_s: float) -> Iterator[int]:
        """Yield how many commands before `ends` (by partition) are left, until none is.

        TimedOutError when the group makes no progress for `timeout_s`.
        """
        with GroupOffsets(self._settings, self._group) as group:
            least, left, moved = None, sum(ends.values()), time.monotonic()
            while True:
                try:
                    left = self._left(group, ends)
                except KafkaException as error:
                    # A coordinator that moves; whether it comes back, the time without progress decides.
                    fault = said(error)
                else:
                    fault = "does the handler run? (eventfold status)"
                    yield left
                    if left == 0:
                        return
                if least is None or left < least:
                    least, moved = left, time.monotonic()
                elif time.monotonic() - moved > timeout_s:
                    raise TimedOutError(f"{left} commands are not decided and nothing moves for {timeout_s:g} s: {fault}")
                time.sleep(_POLL_S)

    def refusals_end(self) -> dict[int, int]:
        """The end of each partition of the refusals."""
        info = self._topics.describe([self._refusals])[self._refusals]
        ends = self._topics.ends([(self._refusals, p) for p in range(info.partitions)], committed=True)
        return {partition: end for (_, partition), end in ends.items()}

    def refusals_since(self, before: Mapping[int, int], correlation_id: str) -> int:
        """How many refusals of one conversation were written since."""
        now, wanted = self.refusals_end(), correlation_id.encode()
        spans = {(self._refusals, p): (start, now[p]) for p, start in before.items()}
        try:
            return sum(header(record.headers(), "ce_correlationid") == wanted for record in self._log.scan(spans))
        except SilentError as error:
            raise TimedOutError(f"{self._refusals} cannot be read to its end: {error}") from error

    def _left(self, group: GroupOffsets, ends: Mapping[int, int]) -> int:
        committed = group.committed([(self._commands, p) for p in ends])
        return sum(max(0, end - (committed[self._commands, p] or 0)) for p, end in ends.items())
