"""The topics that a domain needs, and their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventfold.schemas.names import Names

_DAY_MS = 24 * 3600 * 1000
_FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete", "compression.type": "zstd"}
# Kafka deletes whole segments, so a record may be kept for retention and segment together; see eventfold.store.decided_ids.
_WEEK = {
    "retention.ms": str(7 * _DAY_MS),
    "segment.ms": str(_DAY_MS // 2),
    "cleanup.policy": "delete",
    "compression.type": "zstd",
}
# The proof of a refusal outlives the command.
_LONGER = {"retention.ms": str(8 * _DAY_MS), "retention.bytes": "-1"}
# What a handler writes is made of a command, which its topic bounds at 1 MiB: with events of at most `LARGEST_EVENT` and
# whatever a command's key and headers bring along it stays below this.
LARGEST_RECORD = 4 << 20
LARGEST_EVENT = 1_000_000
_LARGE = {"max.message.bytes": str(LARGEST_RECORD)}
# When a record was appended is the broker's to say; when it happened stands in ce_time.
_RECORDED = {"message.timestamp.type": "LogAppendTime"}


def domain_topics(names: Names, domain: str, *, decides: bool) -> dict[str, dict[str, str]]:
    """The topics of a domain and their settings; one that decides nothing has no commands and no refusals."""
    wanted = {names.events(domain): _FOR_EVER | _RECORDED | _LARGE, names.dead_letters(domain): _FOR_EVER | _LARGE}
    if decides:
        asked = dict.fromkeys((names.commands(domain), names.internal(domain)), _WEEK | _RECORDED)
        wanted |= asked | {names.refusals(domain): _WEEK | _LONGER | _RECORDED | _LARGE}
    return wanted


def keyed_topics(names: Names, domains: Iterable[str]) -> set[str]:
    """The topics of these domains in which each key has one partition, that of its hash."""
    kinds = (names.events, names.commands, names.internal, names.refusals)
    return {topic(domain) for domain in domains for topic in kinds}


def settings_of(names: Names, domains: Iterable[str], topic: str) -> Mapping[str, str]:
    """The settings of a topic of one of these domains; what is none of theirs is kept for ever."""
    for domain in domains:
        if topic in (wanted := domain_topics(names, domain, decides=True)):
            return wanted[topic]
    return _FOR_EVER | _LARGE
