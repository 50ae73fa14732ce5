"""Looks, at the start and every few minutes, for settings of topics by which Kafka destroys the log that daemons live on.

What it finds ends a daemon, or is an error or a warning in its log, every time:

- At the start, whatever deletes events of a domain's own log (compaction, a finite retention) is refused: nobody begins to work
  on a log that is being destroyed.
- Under a running daemon compaction ends it: what it read next would lack events in the midst, and what it wrote would delete
  what it wrote before. A finite retention is an error in the log, since an end of the daemon would save nothing.
- Everything else is a warning: another topic's retention, records that are refused for their size, times that producers set
  (which `eventfold import-log` allows for as long as it runs), a foreign topic that forgets, whose owner alone can mend it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import structlog

from eventfold.kafka.domain_topics import domain_topics
from eventfold.kafka.topic_settings import WrongSetting, forgets, wrong_settings
from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import EventfoldError, Transient

EVERY_S = 300.0
_SAID = "a topic is not kept as it must be"
log = structlog.get_logger("topics")


class LogDestroyedError(EventfoldError):
    """Kafka deletes events of the log by its topic's settings."""


class LogGuard:
    """Guards the topics of some domains, and foreign ones (by their names without the prefix)."""

    def __init__(
        self, runtime: Runtime, domains: Collection[str], foreign: Collection[str] = (), timeout_s: float = 15
    ) -> None:
        """timeout_s: for how long a broker may owe an answer."""
        self._timeout_s = timeout_s
        self._runtime = runtime
        self._domains = sorted(set(domains))
        self._foreign = sorted({runtime.names.topic(name) for name in foreign})

    @classmethod
    def of_projections(cls, runtime: Runtime, names: Collection[str]) -> LogGuard:
        """A guard of what these projections fold."""
        projections = [runtime.projection(name) for name in names]
        topics = {topic for projection in projections for topic in projection.topics}
        foreign = {of.topic for projection in projections for of in projection.foreign}
        own = {f"{domain}.events": domain for domain in runtime.domain_names}
        return cls(runtime, [own[topic] for topic in topics if topic in own], foreign)

    def refuse(self) -> None:
        """Look once; LogDestroyedError for what destroys the log, Transient when Kafka does not answer."""
        self._look(lambda wrong: wrong.destroys)

    def watch(self, stop: threading.Event, every_s: float = EVERY_S) -> None:
        """Look every so many seconds until `stop` is set; LogDestroyedError once the log is compacted."""
        while not stop.wait(every_s):
            try:
                self._look(lambda wrong: wrong.compacts)
            except Transient as fault:
                log.warning("the topics' settings are not looked at", fault=str(fault))

    def _look(self, refused: Callable[[WrongSetting], bool]) -> None:
        """LogDestroyedError for what is to be refused; anything else that is wrong is logged."""
        runtime, found = self._runtime, list[WrongSetting]()
        wanted = {name: domain_topics(runtime.names, name, decides=name in runtime.domains) for name in self._domains}
        # A client of its own, each time: this thread asks seldom.
        configs = Topics(runtime.kafka, self._timeout_s).configs(
            [*(topic for of in wanted.values() for topic in of), *self._foreign]
        )
        for domain in self._domains:
            found += wrong_settings(runtime.names, domain, configs, decides=domain in runtime.domains)
        if destroying := [str(wrong) for wrong in found if refused(wrong)]:
            raise LogDestroyedError("; ".join(destroying))
        says = [f"{name}: its settings may not be looked at by this user" for name, has in configs.items() if not has]
        says += [fault for name in self._foreign for fault in forgets(name, configs.get(name, {}))]
        for wrong in found:
            (log.error if wrong.destroys else log.warning)(_SAID, what=str(wrong))
        for what in says:
            log.warning(_SAID, what=what)
