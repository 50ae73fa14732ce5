"""What is wrong with the settings that a topic has: which of them destroy the log, which break what daemons rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventfold.kafka.domain_topics import domain_topics
from eventfold.schemas.names import Names

Configs = Mapping[str, Mapping[str, str]]
"""The settings of topics, by name."""
_NEVER = "-1"
_POLICY, _TIMESTAMPS, _LARGEST = "cleanup.policy", "message.timestamp.type", "max.message.bytes"
_RETENTION = ("retention.ms", "retention.bytes")
# What follows from each that is not as it must be; how long commands are kept, and compression, may differ.
_BECAUSE = {
    _POLICY: "Kafka deletes all records of a key but the last",
    "retention.ms": "Kafka deletes what is older",
    "retention.bytes": "Kafka deletes the oldest of what is more",
    _TIMESTAMPS: "a producer's clock says when a record was appended, and how long it and a command's id are kept",
    _LARGEST: "Kafka refuses records that eventfold may write",
}
MENDED = "`eventfold topics configure` sets it right"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSetting:
    """A setting of a topic that is not as it must be.

    must: the value to set. destroys: whether Kafka deletes events by it, which nothing brings back.
    """

    topic: str
    setting: str
    has: str | None
    must: str
    destroys: bool

    @property
    def compacts(self) -> bool:
        """Whether Kafka deletes from the midst of the log, so that a fold leaves events out and does not notice."""
        return self.destroys and self.setting == _POLICY

    def __str__(self) -> str:
        at_least = "at least " if self.setting == _LARGEST else ""
        why = _BECAUSE[self.setting]
        return f"{self.topic} has {self.setting}={self.has}, it must be {at_least}{self.must}: {why}; {MENDED}"


def wrong_settings(names: Names, domain: str, configs: Configs, *, decides: bool) -> list[WrongSetting]:
    """The settings of a domain's topics that are not as they must be, those that destroy the log first.

    configs: what the topics have, as eventfold.kafka.topics.Topics.configs tells it; what it does not tell is left out.
    """
    wanted = domain_topics(names, domain, decides=decides)
    wrong = [
        found
        for name, settings in wanted.items()
        if configs.get(name)
        for found in wrong_of(name, settings, configs[name], is_log=name == names.events(domain))
    ]
    return sorted(wrong, key=lambda found: not found.destroys)


def wrong_of(name: str, wanted: Mapping[str, str], has: Mapping[str, str], *, is_log: bool) -> list[WrongSetting]:
    """In which settings one topic is not as `wanted`; what may differ may differ."""
    return [
        WrongSetting(
            topic=name,
            setting=key,
            has=has.get(key),
            must=value,
            destroys=is_log and (key == _POLICY or key in _RETENTION),
        )
        for key, value in wanted.items()
        if _differs(key, value, has.get(key))
    ]


def forgets(name: str, has: Mapping[str, str]) -> list[str]:
    """By which settings Kafka deletes records of a topic that others keep, a sentence each."""
    kept = {_RETENTION[0]: _NEVER, _RETENTION[1]: _NEVER, _POLICY: "delete"}
    return [
        f"{name} has {key}={has[key]}: what it forgets cannot be folded anew; let its owner set {value}, or copy it to a log"
        for key, value in kept.items()
        if has and has[key] != value
    ]


def _differs(key: str, wanted: str, has: str | None) -> bool:
    if key == _LARGEST:
        return has is None or int(has) < int(wanted)
    return has != wanted and (key in (_POLICY, _TIMESTAMPS) or (key in _RETENTION and wanted == _NEVER))
