"""Whether a domain's topics are what the daemons rely on: all there, alike, and kept as long as they must be."""

from __future__ import annotations

from collections.abc import Iterator

from eventfold.kafka.domain_topics import domain_topics
from eventfold.kafka.topic_settings import Configs, forgets, wrong_settings
from eventfold.kafka.topics import Topics
from eventfold.processors.ways_on import RESTORE
from eventfold.schemas.names import Names
from eventfold.store.decided_ids import TURN_MS

_DAY_MS = 24 * 3600 * 1000


def faults(topics: Topics, names: Names, domain: str, *, decides: bool) -> list[str]:
    """What is wrong with a domain's topics, a sentence each; Transient when Kafka does not tell."""
    wanted = domain_topics(names, domain, decides=decides)
    found = topics.existing(list(wanted))
    if missing := sorted(set(wanted) - set(found)):
        return [f"missing: {', '.join(missing)}; run `eventfold topics create`"]
    configs = topics.configs(list(wanted))
    wrong = [str(found) for found in wrong_settings(names, domain, configs, decides=decides)]
    if hidden := [name for name in wanted if not configs.get(name)]:
        wrong.append(f"the settings of {', '.join(hidden)} may not be looked at: this user needs DescribeConfigs there")
    letters = found.pop(names.dead_letters(domain)).partitions
    counts = {name: info.partitions for name, info in found.items()}
    if len(set(counts.values())) != 1:
        wrong.append(f"must have the same number of partitions: {counts}")
    elif letters < counts[names.events(domain)]:
        wrong.append(f"{names.dead_letters(domain)} has {letters} partitions, it must have as many as the others: {counts}")
    starts = topics.starts([(names.events(domain), p) for p in range(counts[names.events(domain)])])
    wrong += [
        f"{topic}/{p} begins at offset {offset}, not at 0: {RESTORE}; each daemon says what it can do without"
        for (topic, p), offset in starts.items()
        if offset
    ]
    if decides:
        for asked in (names.commands(domain), names.internal(domain)):
            wrong += _ids(asked, names.refusals(domain), configs)
    return wrong


def foreign_faults(topics: Topics, name: str) -> list[str]:
    """What is wrong with a topic that others write, and that is to be folded anew at any time; NotFoundError without it."""
    info = topics.describe([name])[name]
    wrong = forgets(name, topics.config(name))
    starts = topics.starts([(name, p) for p in range(info.partitions)])
    return wrong + [
        f"{topic}/{p} begins at offset {offset}, not at 0: let its owner restore it; each projector of it says what it can do "
        "without"
        for (topic, p), offset in starts.items()
        if offset
    ]


def _ids(commands: str, refusals: str, configs: Configs) -> Iterator[str]:
    """A command must not outlive the proof of what became of it, in the ledger or among the refusals."""
    if not (configs.get(commands) and configs.get(refusals)):
        return
    kept = int(configs[commands]["retention.ms"])
    # Whole segments are deleted, so the oldest record of one stays until its youngest may go.
    longest = kept + int(configs[commands]["segment.ms"])
    if kept < 0 or longest > TURN_MS:
        days = "for ever" if kept < 0 else f"for up to {longest / _DAY_MS:g} days"
        yield f"{commands} keeps commands {days}, but ids are known for {TURN_MS // _DAY_MS}: shorten retention.ms"
    refused = int(configs[refusals]["retention.ms"])
    if 0 <= refused < kept or kept < 0 <= refused:
        yield f"{refusals} has retention.ms={refused}, shorter than that of {commands}"
