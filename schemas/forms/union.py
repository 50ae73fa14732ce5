"""A union: one of its branches has a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventfold.schemas.branches import alike, branch_of, tagged
from eventfold.schemas.faults import Faults
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.forms.moments import Moment
from eventfold.schemas.forms.numbers import Real, Whole
from eventfold.schemas.forms.plain import Boolean, Null, Of, Symbol, Text, Uuid
from eventfold.schemas.forms.spelled import Amount, Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One of the kinds of a union. name: its full name or its Avro type."""

    name: str
    kind: Kind


class Union:
    """A value of any of several kinds, without a tag as Avro's own JSON has it.

    JSON cannot always tell which one is meant ("12" as text or as bytes): then it is the first that fits. Nor can Python (two
    records), but there a pair of the branch's name and the value says it, and what was read remembers it (`schemas.branches`).
    Otherwise the first branch has the value that its class stands for, and only then one that reads it of text. Between a float
    and a double every number is a double, which loses no digits.
    """

    held = object

    def __init__(self, branches: Sequence[Branch]) -> None:
        # A float would lose digits that a double keeps.
        self.branches = sorted(branches, key=lambda branch: branch.name == "float")
        self._by_name = {branch.name: branch for branch in self.branches}
        if "double" in self._by_name and "float" in self._by_name:
            self._by_name["float"] = self._by_name["double"]
        self._alike = alike([(branch.name, branch.kind.held) for branch in self.branches])
        # fastavro finds one of two by itself; what has others inside is better told, or it looks inside at each level again.
        self.plain = (
            len(branches) == 2 and "null" in self._by_name and all(isinstance(branch.kind, _PLAIN) for branch in branches)
        )
        kinds = [branch.kind for branch in self.branches]
        self.words = " or ".join(kind.words for kind in kinds)
        self.json = tuple({of for kind in kinds for of in kind.json})
        self._vague = len({of for kind in kinds for of in kind.json}) < sum(len(kind.json) for kind in kinds)

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        near = [branch for branch in self.branches if isinstance(value, branch.kind.json)]
        near = [branch for branch in near if not isinstance(value, bool) or bool in branch.kind.json]
        if len(near) == 1:
            return self._tagged(near[0], near[0].kind.read(value, at, faults))
        for branch in near:
            tried = Faults()
            found = branch.kind.read(value, at, tried)
            if not tried.found:
                return self._tagged(branch, found)
        faults.must(at, self.words, value)
        return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        if value is None and "null" in self._by_name:
            return None
        if isinstance(value, tuple):
            return self._told(value, at, faults)
        known = self._by_name.get(branch_of(value) or "")
        likely = [branch for branch in self.branches if branch.kind.owns(value)]
        others = [branch for branch in self.branches if branch not in likely]
        tries = ([] if known is None else [known], likely, others)
        for branch in (branch for some in tries for branch in some):
            tried = faults.fresh()
            found = branch.kind.take(value, at, tried)
            if not tried.found:
                return self._written(branch, found)
        near = likely or [branch for branch in others if isinstance(value, branch.kind.json)]
        if len(near) == 1:
            return near[0].kind.take(value, at, faults)
        faults.must(at, self.words, value)
        return value

    def _told(self, value: tuple[Any, ...], at: str, faults: Faults) -> Any:
        """A pair of the name of a branch and its value."""
        name = value[0] if len(value) == 2 else None
        branch = self._by_name.get(name) if isinstance(name, str) else None
        if branch is None:
            faults.add(at, f"must be a value, or a pair of a value behind one of the names {', '.join(self._by_name)}")
            return value
        return self._written(branch, branch.kind.take(value[1], at, faults))

    def owns(self, value: Any) -> bool:
        return any(branch.kind.owns(value) for branch in self.branches)

    def holds(self, value: Any) -> bool:
        return any(branch.kind.holds(value) for branch in self.branches)

    def show(self, value: Any) -> Any:
        known = self._by_name.get(branch_of(value) or "")
        if known is not None:
            return known.kind.show(value)
        for branch in self.branches:
            if branch.kind.holds(value):
                return branch.kind.show(value)
        # A number of a foreign writer that is out of its bounds; or a default as Avro writes it: bytes and decimals are text
        # there, a record may lack fields that have defaults.
        kinds = [branch.kind for branch in self.branches]
        like = next((kind for kind in kinds if isinstance(value, (kind.held, *kind.json))), None)
        return value if like is None else like.show(value)

    def schema(self, of: Of) -> dict[str, Any]:
        found = [of(branch.kind) for branch in self.branches]
        null = {"type": "null"}
        if len(found) == 2 and null in found:
            other = found[1 - found.index(null)]
            if "type" in other:
                return _nullable(other)
        more = {"description": "The first of these that fits is taken."} if self._vague else {}
        return {"anyOf": found, **more}

    def _tagged(self, branch: Branch, value: Any) -> Any:
        return tagged(value, branch.name) if branch.name in self._alike else value

    def _written(self, branch: Branch, value: Any) -> Any:
        return value if self.plain else (branch.name, value)


_PLAIN = (Null, Boolean, Real, Symbol, Text, Uuid, Whole, Moment, Amount, Bytes)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*types, "null"], **more}
