"""The gate's checks of schemas: a copy of a domain of one's own, broken on purpose, and what is said about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from eventfold.schemas.catalog import installed
from eventfold.schemas.compatibility.contract import Contract
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.upcasting import Upcaster
from tests.support.parcels import PACKAGE

SIGNED = "events/ParcelDelivered.v2.avsc"
FIRST = "events/ParcelDelivered.v1.avsc"


def moved(data: dict[str, Any]) -> dict[str, Any]:
    return data


UPCASTERS = (Upcaster("parcels.KeepParcel", 1, moved), Upcaster("parcels.ParcelKept", 1, moved))


class Copy:
    """A copy of the schemas of `parcels`, all of them released."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PACKAGE / "parcels" / "schemas", folder)

    def edit(self, name: str, change: Callable[[dict[str, Any]], object], to: str | None = None) -> None:
        schema = json.loads((self.folder / name).read_text())
        change(schema)
        (self.folder / (to or name)).write_text(json.dumps(schema))

    def field(self, name: str, field: str, change: Mapping[str, Any], to: str | None = None) -> None:
        def merge(schema: dict[str, Any]) -> None:
            of = next(each for each in schema["fields"] if each["name"] == field)
            of |= change
            for gone in [key for key, value in change.items() if value is ...]:
                del of[gone]

        self.edit(name, merge, to)

    def contract(self, upcasters: Sequence[Upcaster] = UPCASTERS) -> Contract:
        return Contract.read({"parcels": self.folder}, upcasters)

    def problems(self, upcasters: Sequence[Upcaster] = UPCASTERS) -> list[str]:
        """What is wrong, with paths as they are below the folder."""
        contract = self.contract(upcasters)
        found = [*contract.check(["parcels"]), *contract.unreleased(["parcels"])]
        return [str(problem).removeprefix(f"{self.folder}/") for problem in found]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "parcels")


def test_the_installed_domains_and_a_domain_of_ones_own_pass(copy: Copy) -> None:
    contract = Contract.read(*installed(["accounts", "flights"]))
    assert contract.check(list(contract.folders)) == []
    assert contract.unreleased(list(contract.folders)) == []
    assert copy.problems() == []


# -- one version is read as another --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "change", "says"),
    [
        ("signed_by", {"default": ...}, "the field 'signed_by' has no default, but ParcelDelivered.v1.avsc does not have it"),
        (
            "delivered_at",
            {"type": "string"},
            "the field 'delivered_at' is string, but timestamp-millis in ParcelDelivered.v1.avsc, which cannot be read as that",
        ),
        (
            "delivered_at",
            {"type": {"type": "long", "logicalType": "timestamp-micros"}},
            "the field 'delivered_at' is timestamp-micros, but timestamp-millis in ParcelDelivered.v1.avsc, and would be read "
            "as if it was the same: give what is new a name of its own, and an upcaster",
        ),
    ],
)
def test_a_version_that_cannot_read_an_earlier_one(copy: Copy, field: str, change: dict[str, Any], says: str) -> None:
    copy.field(SIGNED, field, change)
    (copy.folder / "released.txt").write_text("")
    assert f"{SIGNED}: {says}" in copy.problems()


def test_a_version_must_read_all_earlier_ones_not_only_the_last(copy: Copy) -> None:
    """The third has the first one's field again, with another type: the second, which has dropped it, reads well."""
    copy.edit(FIRST, lambda schema: schema["fields"].append({"name": "by", "type": "int", "doc": "Who."}))
    third = {"name": "by", "type": "string", "default": "", "doc": "Who."}
    copy.edit(SIGNED, lambda schema: schema["fields"].append(third), "events/ParcelDelivered.v3.avsc")
    found = [says for says in copy.problems() if says.startswith("events/ParcelDelivered.v3.avsc: the field")]
    assert found == [
        "events/ParcelDelivered.v3.avsc: the field 'by' is string, but int in ParcelDelivered.v1.avsc, which cannot be read as "
        "that"
    ]


# -- what was released ---------------------------------------------------------------------------------------------------


def test_a_released_version_that_was_edited(copy: Copy) -> None:
    copy.field(FIRST, "delivered_at", {"type": "long"})
    assert f"{FIRST}: it was changed after its release: restore it, and make the change in a new version" in copy.problems()


def test_docs_may_be_mended_and_files_may_be_formatted(copy: Copy) -> None:
    copy.field(FIRST, "delivered_at", {"doc": "When, in UTC."})
    assert copy.problems() == []


def test_a_default_that_looks_like_a_doc_counts(copy: Copy) -> None:
    notes = {"name": "notes", "type": {"type": "map", "values": "string"}, "default": {"doc": "a"}, "doc": "Notes."}
    copy.edit(SIGNED, lambda schema: schema["fields"].append(notes), "events/ParcelDelivered.v3.avsc")
    copy.contract().release("parcels")
    assert copy.problems() == []
    copy.field("events/ParcelDelivered.v3.avsc", "notes", {"default": {"doc": "b"}})
    assert [says.partition(":")[0] for says in copy.problems()] == ["events/ParcelDelivered.v3.avsc"]


def test_a_released_version_that_was_removed(copy: Copy) -> None:
    (copy.folder / SIGNED).unlink()
    gone = "events/ParcelDelivered.v2 was released, and its file is gone or cannot be read: restore it"
    assert copy.problems() == [f"released.txt: {gone}"]


def test_a_new_version_is_not_released_until_it_is(copy: Copy) -> None:
    before = (copy.folder / "released.txt").read_text()
    new = {"name": "at", "type": ["null", "string"], "default": None, "doc": "At which door."}
    copy.edit(SIGNED, lambda schema: schema["fields"].append(new), "events/ParcelDelivered.v3.avsc")
    says = "it is not released: run `eventfold schemas release` before anything is written with it"
    assert copy.problems() == [f"events/ParcelDelivered.v3.avsc: {says}"]
    assert copy.contract().release("parcels") == ["events/ParcelDelivered.v3"]
    assert copy.problems() == []
    assert copy.contract().release("parcels") == []
    # It adds a line, and changes none.
    after = (copy.folder / "released.txt").read_text().splitlines()
    assert set(before.splitlines()) < set(after) and len(after) == len(before.splitlines()) + 1 and after == sorted(after)


def test_a_list_that_cannot_be_read_or_written(copy: Copy) -> None:
    listed = copy.folder / "released.txt"
    lines = listed.read_text()
    listed.write_text(lines + "events/ParcelPosted.v1 0123\nnonsense\n")
    number = len(lines.splitlines())
    assert copy.problems() == [
        f"released.txt: line {number + 1} is no '<kind>/<Name>.v<N> <SHA-256>', or stands twice: 'events/ParcelPosted.v1 0123'",
        f"released.txt: line {number + 2} is no '<kind>/<Name>.v<N> <SHA-256>', or stands twice: 'nonsense'",
    ]
    listed.unlink()
    listed.mkdir()
    with pytest.raises(EventfoldError, match=r"released\.txt cannot be read: "):
        copy.contract().release("parcels")
    listed.rmdir()
    listed.symlink_to(copy.folder / "nowhere" / "released.txt")
    with pytest.raises(EventfoldError, match=r"released\.txt cannot be written \(.*\): release where the sources are"):
        copy.contract().release("parcels")


# -- numbers, fingerprints, docs -----------------------------------------------------------------------------------------


def test_a_gap_between_versions(copy: Copy) -> None:
    (copy.folder / SIGNED).rename(copy.folder / "events/ParcelDelivered.v3.avsc")
    says = "after ParcelDelivered.v1.avsc comes version 3, where version 2 must be"
    assert f"events/ParcelDelivered.v3.avsc: {says}" in copy.problems()


def test_a_first_version_that_is_gone(copy: Copy) -> None:
    (copy.folder / FIRST).unlink()
    assert f"{SIGNED}: the first is version 2, where version 1 must be" in copy.problems()


def test_a_command_that_becomes_an_event(copy: Copy) -> None:
    (copy.folder / SIGNED).rename(copy.folder / "commands/ParcelDelivered.v2.avsc")
    says = "it is one of commands, but ParcelDelivered.v1.avsc is one of events"
    assert f"commands/ParcelDelivered.v2.avsc: {says}" in copy.problems()


def test_two_versions_of_one_fingerprint(copy: Copy) -> None:
    copy.field(
        SIGNED, "signed_by", {"doc": "Another doc, another default.", "aliases": ["by"]}, "events/ParcelDelivered.v3.avsc"
    )
    assert any(
        says.startswith("events/ParcelDelivered.v3.avsc: it has the same fingerprint as ParcelDelivered.v2.avsc, so what is")
        for says in copy.problems()
    )


def test_what_has_no_doc(copy: Copy) -> None:
    place = {
        "name": "place",
        "type": {
            "type": "record",
            "name": "Place",
            "fields": [
                {"name": "kind", "type": ["null", {"type": "enum", "name": "Kind", "symbols": ["DOOR"]}], "doc": "Which."},
                {"name": "notes", "type": {"type": "array", "items": "string"}, "doc": " "},
            ],
        },
        "doc": "Where.",
    }

    def change(schema: dict[str, Any]) -> None:
        schema["fields"].append(place)
        del schema["doc"], schema["fields"][0]["doc"]

    copy.edit(FIRST, change)
    assert [says for says in copy.problems() if "doc" in says] == [
        f"{FIRST}: the record 'ParcelDelivered' has no doc: say what it means",
        f"{FIRST}: the field 'delivered_at' has no doc: say what it means",
        f"{FIRST}: the record 'Place' of the field 'place' has no doc: say what it means",
        f"{FIRST}: the enum 'Kind' of the field 'place.kind' has no doc: say what it means",
        f"{FIRST}: the field 'place.notes' has no doc: say what it means",
    ]


def test_a_name_that_other_libraries_refuse(copy: Copy) -> None:
    copy.edit(SIGNED, lambda schema: schema["fields"].append({"name": "a-b", "type": "int", "default": 1, "doc": "One."}))
    says = "the field 'a-b': its name is none in Avro: letters, digits and '_' only, no digit first"
    assert f"{SIGNED}: {says}" in copy.problems()


# -- upcasters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upcaster", "says"),
    [
        (Upcaster("parcels.ParcelKept", 2, moved), "there is no version 3; there are: 1, 2"),
        (Upcaster("parcels.ParcelKept", 1, moved), "that version has another one, 'moved'"),
        (Upcaster("parcels.ParcelLost", 1, moved), "there is no version 1; no schema is called 'parcels.ParcelLost'"),
        (Upcaster("parcles.ParcelKept", 1, moved), "there is no version 1; no schema is called 'parcles.ParcelKept'"),
    ],
    ids=lambda of: of.type if isinstance(of, Upcaster) else "",
)
def test_an_upcaster_that_leads_nowhere(copy: Copy, upcaster: Upcaster, says: str) -> None:
    what = f"the upcaster 'moved' of {upcaster.type} version {upcaster.version}"
    assert copy.problems([*UPCASTERS, upcaster]) == [f"{Path(__file__)}: {what}: {says}"]


def test_a_version_between_that_is_gone_leaves_a_gap_in_the_chain(copy: Copy) -> None:
    (copy.folder / "events/ParcelKept.v2.avsc").rename(copy.folder / "events/ParcelKept.v3.avsc")
    what = "the upcaster 'moved' of parcels.ParcelKept version 1"
    assert f"{Path(__file__)}: {what}: there is no version 2; there are: 1, 3" in copy.problems()


def test_an_upcaster_that_is_no_function_has_no_file(copy: Copy) -> None:
    assert copy.problems([*UPCASTERS, Upcaster("parcels.ParcelKept", 7, dict)])[0].startswith("dict: the upcaster 'dict' of")


# -- what cannot be read -------------------------------------------------------------------------------------------------


def test_all_problems_are_told_at_once(copy: Copy) -> None:
    (copy.folder / "events/ParcelPosted.v1.avsc").write_text("{")
    (copy.folder / "events/ParcelLost.avsc").write_text("{}")
    (copy.folder / "commands/PostParcel.v1.avsc").write_text("[]")
    copy.field("events/ParcelReturned.v1.avsc", "reason", {"default": 1})
    copy.field("events/ParcelKept.v1.avsc", "reason", {"aliases": [["why"]]})
    copy.field("commands/ReturnParcel.v1.avsc", "reason", {"type": {"type": "bytes", "logicalType": "decimal"}})
    copy.field("commands/PromiseParcel.v1.avsc", "deliver_by", {"type": {"type": "long", "logicalType": {"a": 1}}})
    copy.edit("events/ParcelPromised.v1.avsc", lambda schema: schema["fields"].append(dict(schema["fields"][0])))
    copy.field(SIGNED, "signed_by", {"default": ..., "doc": ""})
    problems = copy.problems()
    for start in (
        "events/ParcelPosted.v1.avsc: not JSON: ",
        "events/ParcelLost.avsc: a schema's file is called <Name>.v<version>.avsc",
        "commands/PostParcel.v1.avsc: must hold a record called 'PostParcel'",
        "events/ParcelReturned.v1.avsc: the field 'reason': its default is none of its type: 1",
        "events/ParcelKept.v1.avsc: the field 'reason': it has an alias that is no name in Avro: a list",
        "commands/ReturnParcel.v1.avsc: the field 'reason': the precision of a decimal must be a whole number",
        "commands/PromiseParcel.v1.avsc: the Apache Avro library refuses it: ",
        "events/ParcelPromised.v1.avsc: the field 'deliver_by': it stands twice in the record 'parcels.ParcelPromised'",
        f"{SIGNED}: it was changed after its release",
        f"{SIGNED}: the field 'signed_by' has no default",
        f"{SIGNED}: the field 'signed_by' has no doc",
    ):
        assert any(says.startswith(start) for says in problems), (start, problems)


def test_what_lies_in_lists_and_maps_has_docs_too(copy: Copy) -> None:
    def enum(name: str) -> dict[str, Any]:
        return {"type": "enum", "name": name, "symbols": ["A"]}

    def change(schema: dict[str, Any]) -> None:
        for name, of in (
            ("list", {"type": "array", "items": enum("One")}),
            ("map", {"type": "map", "values": ["null", enum("Two")]}),
        ):
            schema["fields"].append({"name": name, "type": of, "doc": "Some."})

    copy.edit(FIRST, change)
    assert [says for says in copy.problems() if "doc" in says] == [
        f"{FIRST}: the enum {enum!r} of the field {field!r} has no doc: say what it means"
        for enum, field in (("One", "list"), ("Two", "map"))
    ]
