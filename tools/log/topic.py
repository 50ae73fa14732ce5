"""Finds a topic by what a person calls it."""

from __future__ import annotations

from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.schemas.errors import NotFoundError
from eventfold.schemas.names import Names

_SHOWN = 20


def found(topics: Topics, names: Names, called: str) -> TopicInfo:
    """The topic of this name, with or without the prefix; NotFoundError says which there are."""
    known = topics.existing([*dict.fromkeys((names.topic(called), called))])
    for name in (names.topic(called), called):
        if name in known:
            return known[name]
    there = sorted(name for name in topics.names() if name.startswith(names.prefix))
    if not there:
        raise NotFoundError(f"the topic {called!r} does not exist, and none does: make them with `eventfold topics create`")
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    raise NotFoundError(f"the topic {called!r} does not exist; there are: {', '.join(there[:_SHOWN])}{more}")
