"""A union: the first of its branches that takes a value has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventfold.schemas.decimals import to_bytes
from eventfold.schemas.faults import Faults
from eventfold.schemas.json_form.kind import Kind
from eventfold.schemas.json_form.plain import Of
from eventfold.schemas.json_form.spelled import Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One of the kinds of a union. name: as fastavro tells it from others, its full name or its Avro type."""

    name: str
    kind: Kind


class Union:
    """A value of any of several kinds, without a tag as Avro's own JSON has it.

    JSON cannot always tell which one is meant ("12" as text or as bytes): then it is the first that fits. Where fastavro,
    which looks at the Python value alone, could choose another one, what is read is its pair of name and value.
    """

    def __init__(self, branches: Sequence[Branch]) -> None:
        # A float would lose digits that a double keeps; fastavro too prefers that.
        self._branches = sorted(branches, key=lambda branch: branch.name == "float")
        kinds = [branch.kind for branch in self._branches]
        self.words = " or ".join(kind.words for kind in kinds)
        self.json = tuple({of for kind in kinds for of in kind.json})
        self.written = frozenset().union(*(kind.written for kind in kinds))
        times = Counter(of for kind in kinds for of in kind.written)
        # It looks for pairs beneath a branch that it chose itself in another way than beneath one it is told, so tell it.
        self._paired = {b.name for b in self._branches if b.kind.pairs or any(times[of] > 1 for of in b.kind.written)}
        self.pairs = bool(self._paired)
        self._vague = len({of for kind in kinds for of in kind.json}) < sum(len(kind.json) for kind in kinds)

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        near = [branch for branch in self._branches if isinstance(value, branch.kind.json)]
        near = [branch for branch in near if not isinstance(value, bool) or bool in branch.kind.json]
        if len(near) == 1:
            return self._pair(near[0], near[0].kind.read(value, at, faults))
        for branch in near:
            tried = Faults()
            found = branch.kind.read(value, at, tried)
            if not tried.found:
                return self._pair(branch, found)
        faults.must(at, self.words, value)
        return value

    def holds(self, value: Any) -> bool:
        return any(branch.kind.holds(value) for branch in self._branches)

    def show(self, value: Any) -> Any:
        for branch in self._branches:
            if branch.kind.holds(value):
                return branch.kind.show(value)
        # A number of a foreign writer that is out of its bounds; or a default as Avro writes it: bytes and decimals are text
        # there, a record may lack fields that have defaults.
        kinds = [branch.kind for branch in self._branches]
        like = next((kind for kind in kinds if isinstance(value, (*kind.written, *kind.json))), None)
        return value if like is None else like.show(value)

    def schema(self, of: Of) -> dict[str, Any]:
        found = [of(branch.kind) for branch in self._branches]
        null = {"type": "null"}
        if len(found) == 2 and null in found:
            other = found[1 - found.index(null)]
            if "type" in other:
                return _nullable(other)
        more = {"description": "The first of these that fits is taken."} if self._vague else {}
        return {"anyOf": found, **more}

    def _pair(self, branch: Branch, value: Any) -> Any:
        if branch.name not in self._paired:
            return value
        # A decimal of the record's own is packed by the writer where it is a bare int alone.
        packed = isinstance(branch.kind, Amount) and isinstance(value, int)
        return branch.name, to_bytes(value) if packed else value


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*types, "null"], **more}
