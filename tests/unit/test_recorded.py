"""A recorded history: how it is recorded, replayed by today's code, and what is said when that folds it otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from avro.datafile import DataFileReader
from avro.io import DatumReader

import accounts.domain
import accounts.projections
import flights.domain
import flights.projections
from eventfold.processors.reactor.timers import timers_of
from eventfold.producers.domain import Domain
from eventfold.producers.process_manager import Emit, ProcessManager
from eventfold.projections.projection import Projection, Table
from eventfold.schemas import container
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.upcasting import Upcaster
from eventfold.store.rows import Row
from eventfold.tools.history_check.recording import Recording
from eventfold.tools.history_check.replay import Today, replay, uncovered
from eventfold.tools.history_check.results import Recorded
from eventfold.tools.history_check.samples import History, Sample
from tests.support.local_stack import REPOSITORY
from tests.support.parcels import PACKAGE, importable

LINES: Sequence[dict[str, Any]] = (
    {"type": "parcels.PostParcel", "key": "P-1", "data": {"depot": "Oslo", "weight_g": 1200}},
    {"type": "parcels.PromiseParcel", "key": "P-1", "data": {"deliver_by": "2026-03-02T12:00:00Z"}},
    {"type": "parcels.DeliverParcel", "key": "P-1", "data": {"delivered_at": "2026-03-02T11:00:00Z", "signed_by": "Ada"}},
    {"type": "parcels.PostParcel", "key": "P-2", "data": {"depot": "Bergen", "weight_g": 500}},
    {"type": "parcels.ParcelDelivered", "version": 1, "key": "P-2", "data": {"delivered_at": "2026-03-02T11:30:00Z"}},
    {"type": "parcels.PostParcel", "key": "P-3", "data": {"depot": "Oslo", "weight_g": 700}},
    {"type": "parcels.ReturnParcel", "key": "P-3", "data": {"reason": "nobody there"}},
    {"type": "parcels.ParcelKept", "version": 1, "key": "P-3", "data": {"reason": "P-3-back: already-posted"}},
    {"type": "parcels.PostParcel", "key": "P-4", "data": {"depot": "Oslo", "weight_g": 0}},
    {"type": "parcels.PostParcel", "key": "P-5", "data": {"depot": "Oslo", "weight_g": 700}},
    {"type": "parcels.ReturnParcel", "key": "P-5", "data": {"reason": "nobody there"}},
    {"type": "parcels.KeepParcel", "key": "P-5", "data": {"parcel": "P-5-back", "reason": "already-posted"}},
    {"type": "parcels.PostParcel", "key": "P-6", "data": {"depot": "Oslo", "weight_g": 700}},
    {"type": "parcels.ReturnParcel", "key": "P-6", "data": {"reason": "nobody there"}},
    {"type": "parcels.KeepParcel", "version": 1, "key": "P-6", "data": {"reason": "P-6-back: already-posted"}},
    {"type": "parcels.PostParcel", "key": "P-7", "data": {"depot": "Oslo", "weight_g": 700}},
    {"type": "parcels.DeliverParcel", "version": 1, "key": "P-7", "data": {"delivered_at": "2026-03-02T11:00:00Z"}},
    {"type": "sightings.BirdSeen", "key": "Faroe", "data": {"place": "Faroe", "kind": "puffin", "count": 3, "seen_at": 0}},
)


def encoded(*lines: dict[str, Any]) -> list[bytes]:
    return [json.dumps(line).encode() for line in lines]


class Own:
    """The domains of examples/parcels as they are, and a history of them that was recorded."""

    def __init__(self, folder: Path) -> None:
        import parcels.domain
        import parcels.projections
        import parcels.schemas
        import sightings.projections

        self.folder = folder / "recorded"
        self.folder.mkdir()
        self.schemas = {name: folder / name for name in ("parcels", "sightings")}
        for name, copy in self.schemas.items():
            shutil.copytree(PACKAGE / name / "schemas", copy)
        self.upcasters: list[Upcaster] = parcels.schemas.upcasters
        self.domain: Domain = parcels.domain.domain
        self.parcels: Projection = parcels.projections.parcels
        self.sightings: Projection = sightings.projections.sightings
        self.manager: ProcessManager = self.domain.process_managers[0]
        self.record(*LINES)

    def catalog(self) -> Catalog:
        own = {"eventfold": REPOSITORY / "schemas" / "eventfold"}
        return Catalog(own | self.schemas, self.upcasters)

    def today(self) -> Today:
        timers = timers_of(self.manager)
        assert timers is not None
        return Today(
            codec=Codec(self.catalog()),
            projections=[self.parcels, self.sightings, timers],
            domains={"parcels": self.domain},
            process_managers=[self.manager],
        )

    def record(self, *lines: dict[str, Any]) -> None:
        recording = Recording(History.read(self.folder), self.today())
        recording.add(encoded(*lines), "lines")
        recording.history.write(recording.added)
        Recorded.read(self.folder).write(replay(recording.history, self.today())[1])

    def problems(self) -> list[str]:
        """What is wrong, with paths below the folder."""
        history, today = History.read(self.folder), self.today()
        problems, results = replay(history, today)
        problems += uncovered(history, today.codec, ["parcels", "sightings", "eventfold"])
        problems += Recorded.read(self.folder).check(results)
        return [str(problem).replace(f"{self.folder}/", "").replace(str(self.folder), "recorded") for problem in problems]

    def fold(self, type_: str, step: Callable[[Row | None, Event], Row | None], version: int = 1, **more: Any) -> None:
        """Let `parcels` fold a type by another step."""
        self.parcels = Projection(
            name="parcels",
            version=version,
            topics=("parcels.events",),
            tables=(Table(name="parcels"),),
            routes={name: routes for name, routes in self.parcels.routes.items() if name != type_},
        )
        self.parcels.on(type_, **more)(step)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    with importable(PACKAGE):
        yield Own(tmp_path)


# -- the history of the domains that come with eventfold -------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Today:
    domains = {"accounts": accounts.domain.domain, "flights": flights.domain.domain}
    managers = [manager for domain in domains.values() for manager in domain.process_managers]
    timers = [timers for manager in managers if (timers := timers_of(manager)) is not None]
    return Today(
        codec=Codec(Catalog.installed(domains)),
        projections=[*accounts.projections.projections, *flights.projections.projections, *timers],
        domains=domains,
        process_managers=managers,
    )


def test_every_version_that_was_ever_written_is_folded_as_it_was(shipped: Today) -> None:
    history = History.read(REPOSITORY / "tests" / "recorded")
    problems, results = replay(history, shipped)
    assert problems == []
    assert uncovered(history, shipped.codec, ["accounts", "flights", "eventfold", "logfold"]) == []
    assert Recorded.read(history.folder).check(results) == []
    assert len(list(results.items())) == len(shipped.projections) + len(shipped.domains)
    assert sum(path.stat().st_size for path in history.folder.iterdir()) < 100_000


def test_the_history_can_be_recorded_again_from_its_lines(shipped: Today, tmp_path: Path) -> None:
    kept = REPOSITORY / "tests" / "recorded"
    recording = Recording(History.read(tmp_path), shipped)
    with (kept / "samples.jsonl").open("rb") as lines:
        recording.add(lines, "samples.jsonl")
    expected, found = History.read(kept).slices, recording.history.slices
    assert {slice_: [named_anew(shipped.codec, sample) for sample in of] for slice_, of in found.items()} == {
        slice_: [named_anew(shipped.codec, sample) for sample in of] for slice_, of in expected.items()
    }
    # A timer keeps the id of its event, and ids followed from less when these were recorded.
    said = [str(problem) for problem in Recorded.read(kept).check(replay(recording.history, shipped)[1])]
    assert [each for each in said if "transfers-timers" not in each] == []


def named_anew(codec: Codec, sample: Sample) -> Any:
    """Its value; of a refusal the fields of its first version, as which some of them were recorded."""
    value = sample.value()
    if value is None or not sample.topic().endswith(".refusals"):
        return value
    data = codec.decode(value).data
    return {name: of for name, of in data.items() if name not in ("fingerprint", "reused", "command_id")}


# -- a domain of one's own -----------------------------------------------------------------------------------------------


def test_a_domain_of_ones_own_is_replayed_too(own: Own) -> None:
    assert own.problems() == []
    assert [path.name for path in sorted(own.folder.iterdir())] == [
        "folded.json",
        "parcels.commands-0.avro",
        "parcels.events-0.avro",
        "parcels.refusals-0.avro",
        "sightings.events-0.avro",
    ]


def test_a_version_without_a_sample(own: Own) -> None:
    path = own.schemas["parcels"] / "events"
    schema = json.loads((path / "ParcelReturned.v1.avsc").read_text())
    schema["fields"].append({"name": "by", "type": ["null", "string"], "default": None, "doc": "By whom."})
    (path / "ParcelReturned.v2.avsc").write_text(json.dumps(schema))
    missing = "recorded: no sample of parcels.ParcelReturned version 2: add one with `eventfold schemas record`"
    assert own.problems() == [missing]
    own.record(
        {"type": "parcels.PostParcel", "key": "P-8", "data": {"depot": "Oslo", "weight_g": 1}},
        {"type": "parcels.ParcelReturned", "key": "P-8", "data": {"reason": "torn", "by": "the depot"}},
    )
    assert own.problems() == []


def test_a_schema_that_is_gone(own: Own) -> None:
    (own.schemas["parcels"] / "events" / "ParcelPromised.v1.avsc").unlink()
    [says] = own.problems()
    assert says.startswith("parcels.events-0.avro: offset 1: no schema in the catalog has the fingerprint ")


def test_a_step_that_fails_on_what_was_written_long_ago(own: Own) -> None:
    own.fold("parcels.ParcelDelivered", lambda row, event: {"by": event.data["signed_by"].upper()})
    assert own.problems() == [
        "parcels.events-0.avro: offset 4, key 'P-2': the projection 'parcels' fails: parcels cannot fold "
        "parcels.ParcelDelivered: AttributeError: 'NoneType' object has no attribute 'upper'"
    ]


def test_a_step_that_reads_what_it_does_not_declare(own: Own) -> None:
    own.fold("parcels.ParcelDelivered", lambda row, event: {"at": event.data["delivered_at"]}, reads=("signed_by",))
    [says] = own.problems()
    assert says.startswith("parcels.events-0.avro: offset 2, key 'P-1': the projection 'parcels' fails: ")
    assert says.endswith("cannot fold parcels.ParcelDelivered: KeyError: 'delivered_at'")


def test_a_projection_that_declares_to_read_what_is_gone(own: Own) -> None:
    own.fold("parcels.ParcelDelivered", lambda row, event: row, reads=("by",))
    assert own.problems() == [
        "recorded: 'parcels' cannot read today's schemas: parcels.ParcelDelivered has no field 'by'; it has: delivered_at, "
        "signed_by"
    ]


def test_an_upcaster_whose_result_does_not_fit(own: Own) -> None:
    own.upcasters = [Upcaster(of.type, 1, lambda data: {"reason": data["reason"], "parcel": 7}) for of in own.upcasters]
    problems = own.problems()
    wrong = "the upcaster '<lambda>' of parcels.ParcelKept version 1 gave no version 2: parcels.ParcelKept: the field 'parcel'"
    assert any(says.startswith(f"parcels.events-0.avro: offset 7: {wrong} must be null or text, not 7") for says in problems)
    assert any(says.startswith("parcels.commands-0.avro: offset 12: the upcaster") for says in problems)


def test_an_upcaster_that_fails(own: Own) -> None:
    own.upcasters = [Upcaster(of.type, 1, lambda data: {"reason": data["why"]}) for of in own.upcasters]
    failed = "the upcaster '<lambda>' of parcels.ParcelKept version 1 failed: KeyError: 'why'"
    assert f"parcels.events-0.avro: offset 7: {failed}" in own.problems()


def test_an_upcaster_that_cannot_cope_with_null(own: Own) -> None:
    """No sample has null there, but one like it may."""
    events = own.schemas["parcels"] / "events"
    schema = json.loads((events / "ParcelDelivered.v2.avsc").read_text())
    schema["fields"][1] = {"name": "taken_by", "type": "string", "default": "", "doc": "Who took it."}
    (events / "ParcelDelivered.v3.avsc").write_text(json.dumps(schema))

    def taken(data: dict[str, Any]) -> dict[str, Any]:
        return {"delivered_at": data["delivered_at"], "taken_by": data["signed_by"].upper()}

    own.upcasters = [*own.upcasters, Upcaster("parcels.ParcelDelivered", 2, taken)]
    failed = "the upcaster 'taken' of parcels.ParcelDelivered version 2 failed: AttributeError: 'NoneType' object has no"
    problems = own.problems()
    assert any(says.startswith(f"parcels.events-0.avro: offset 2: with null as 'signed_by': {failed}") for says in problems)


def test_a_fold_with_another_meaning_is_noticed_until_its_version_is_raised_and_it_is_recorded_anew(own: Own) -> None:
    def posted(row: Row | None, event: Event) -> Row:
        return {"id": event.key, "status": "posted", "depot": event.data["depot"], "weight_g": event.data["weight_g"] // 100}

    own.fold("parcels.ParcelPosted", posted)
    assert own.problems() == [
        "folded.json: the projection 'parcels', still version 1, folds parcels.events/0 into something else: 'P-1' of "
        "'parcels' had 'weight_g' 1200, has 'weight_g' 12, and 5 more; mend it, or raise its version"
    ]
    own.fold("parcels.ParcelPosted", posted, version=2)
    assert own.problems() == [
        "folded.json: what the projection 'parcels' makes of the samples was recorded of version 1, and it is version 2: "
        "record it anew with `eventfold schemas record`"
    ]
    own.record()
    assert own.problems() == []


def test_a_row_that_is_new_or_gone_is_noticed(own: Own) -> None:
    own.fold("parcels.ParcelDelivered", lambda row, event: None, reads=())
    [says] = own.problems()
    assert "'P-1' of 'parcels' is gone, and 2 more;" in says


def test_what_was_never_recorded(own: Own) -> None:
    (own.folder / "folded.json").unlink()
    anew = "makes of the samples: record it anew with `eventfold schemas record`"
    assert own.problems() == [
        f"folded.json: nothing is recorded of what the {what} {anew}"
        for what in (
            "projection 'parcels'",
            "projection 'sightings'",
            "projection 'returns-timers'",
            "decider 'parcels'",
        )
    ]


def test_a_decider_that_cannot_fold_or_folds_otherwise(own: Own) -> None:
    decider = own.domain.decider

    def evolve(state: dict[str, Any], event: Any) -> dict[str, Any]:
        return {**decider.evolve(state, event), "last": event.type}

    own.domain = replace(own.domain, decider=replace(decider, evolve=evolve))
    [says] = own.problems()
    assert says.startswith("folded.json: the decider 'parcels', still version 1, folds parcels.events/0 into something else")
    assert "'P-1' of 'states' had no 'last', has 'last' \"parcels.ParcelDelivered\"" in says
    own.domain = replace(own.domain, decider=replace(decider, evolve=lambda state, event: {"by": event.data["signed_by"]}))
    assert own.problems() == [
        "parcels.events-0.avro: offset 0, key 'P-1': the decider of 'parcels' cannot fold parcels.ParcelPosted: KeyError: "
        "'signed_by'"
    ]


def test_a_process_manager_that_fails_or_emits_what_is_no_command_any_more(own: Own) -> None:
    manager = ProcessManager(name="returns", domains=("parcels",), deadlines=own.manager.deadlines)
    manager.on("parcels.ParcelReturned")(lambda event: [Emit("parcels.PostParcel", event.key, {"depot": event.data["reason"]})])
    own.manager = manager
    [says] = own.problems()
    at = "parcels.events-0.avro: offset 6, key 'P-3': the process manager 'returns' fails on parcels.ParcelReturned: "
    assert says.startswith(at) and "the field 'weight_g' is missing" in says


def test_an_event_that_is_missing_in_its_aggregate(own: Own) -> None:
    history = History.read(own.folder)
    slices = dict(history.slices)
    place = ("parcels.events", 0)
    slices[place] = slices[place][1:]
    History(own.folder, slices).write([place])
    problems = own.problems()
    cannot = (
        "the decider of 'parcels' cannot fold parcels.ParcelPromised: EventfoldError: it is event 2 of 'P-1', where 1 must be"
    )
    assert f"parcels.events-0.avro: offset 1, key 'P-1': {cannot}" in problems


# -- recording -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "lines line 1: not JSON: "),
        ('{"type": "parcels.PostParcel", "key": "P", "key": "Q", "data": {}}', "lines line 1: not JSON: the key 'key' stands"),
        ('{"type": "parcels.PostParcel"}', "lines line 1: it must be an object with type, key and data"),
        ('{"type": "parcels.PostParcel", "key": "P", "data": 1}', "lines line 1: the data must be an object, not 1"),
        ('{"type": "parcels.PostParcel", "key": 7, "data": {}}', "lines line 1: the key must be text, not 7"),
        ('{"type": "parcels.Lost", "key": "P", "data": {}}', "lines line 1: no schema is called 'parcels.Lost'"),
        ('{"type": "parcels.PostParcel", "key": "P", "data": {}}', "lines line 1: parcels.PostParcel: the field 'depot' is"),
        (
            '{"type": "parcels.PostParcel", "key": "", "data": {"depot": "", "weight_g": 1}}',
            "lines line 1: '' is not an aggreg",
        ),
        (
            '{"type": "parcels.PostParcel", "key": "P", "data": {"depot": "", "weight_g": 1}, "version": 2}',
            "lines line 1: parcels.PostParcel has no version 2; there are: 1",
        ),
        (
            '{"type": "parcels.PostParcel", "key": "P", "data": {"depot": "", "weight_g": 1}, "time": "now"}',
            "lines line 1: 'now' is not",
        ),
    ],
)
def test_a_line_that_cannot_be_recorded(own: Own, line: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        Recording(History.read(own.folder), own.today()).add([line.encode()], "lines")
    assert str(error.value).startswith(says)


def test_samples_that_are_there_stay_as_they_are(own: Own) -> None:
    before = History.read(own.folder).slices
    own.record({"type": "parcels.PostParcel", "key": "P-9", "data": {"depot": "Oslo", "weight_g": 1}})
    after = History.read(own.folder).slices
    for slice_, samples in before.items():
        assert [sample.record for sample in after[slice_]][: len(samples)] == [sample.record for sample in samples]
    added = after["parcels.events", 0][-1]
    assert added.offset() == before["parcels.events", 0][-1].offset() + 1
    assert dict(added.headers())["ce_sequence"] == b"1"
    ids = [dict(sample.headers())["ce_id"] for samples in after.values() for sample in samples]
    assert len(set(ids)) == len(ids)


# -- the files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_by_the_apache_avro_library(own: Own) -> None:
    path = own.folder / "parcels.events-0.avro"
    with DataFileReader(path.open("rb"), DatumReader()) as reader:  # type: ignore[no-untyped-call]
        rows = list(reader)
    with container.opened(path) as (about, records):
        found = list(records)
    noted = {"topic": "parcels.events", "partition": "0", "partitions": "1", "first_offset": "0", "next_offset": str(len(rows))}
    assert about == noted
    assert [(row["offset"], row["key"], row["value"]) for row in rows] == [(of.offset, of.key, of.value) for of in found]


def test_a_file_that_is_none_of_ours_or_damaged(own: Own, tmp_path: Path) -> None:
    path = own.folder / "parcels.events-0.avro"
    whole = path.read_bytes()
    for content, says in (
        (whole[:-40], r"parcels\.events-0\.avro is cut or damaged after 0 records"),
        (whole[:-60] + bytes(30) + whole[-30:], r"parcels\.events-0\.avro is cut or damaged after \d+ records"),
        (
            whole.replace(b"eventfold.topic", b"eventfold.tepic"),
            r"is no export of a topic: its metadata has no eventfold\.topic",
        ),
        (
            whole.replace(b"eventfold.partition\x020", b"eventfold.partition\x02x"),
            r"has 'x' as partition, which is no number",
        ),
        (b"Obj\x01", "is no Avro object container file"),
        (b"{}", "is no Avro object container file"),
        (b"", "is no Avro object container file"),
    ):
        path.write_bytes(content)
        with pytest.raises(EventfoldError, match=says):
            History.read(own.folder)
    path.write_bytes(whole)
    shutil.copy(path, own.folder / "twice.avro")
    with pytest.raises(EventfoldError, match="hold the same partition"):
        History.read(own.folder)
    with pytest.raises(UsageError, match="is no folder of recorded samples"):
        History.read(tmp_path / "nowhere")
    (own.folder / "folded.json").write_text("{")
    with pytest.raises(EventfoldError, match=r"folded\.json cannot be read"):
        Recorded.read(own.folder)


def test_an_export_of_a_topic_with_a_prefix_is_the_topic(own: Own) -> None:
    slices = {(f"test.{topic}", partition): samples for (topic, partition), samples in History.read(own.folder).slices.items()}
    folder = own.folder.parent / "prefixed"
    folder.mkdir()
    History(folder, {slice_: [replace(s, file=folder / s.file.name) for s in of] for slice_, of in slices.items()}).write(
        slices
    )
    assert set(History.read(folder, "test.").slices) == set(History.read(own.folder).slices)
