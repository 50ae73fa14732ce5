"""`eventfold schemas` as a user has it, with a domain of their own installed, and neither Kafka nor Redis."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support import process
from tests.support.local_stack import REPOSITORY, clean_environ
from tests.support.parcels import install_parcels, python_path

NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
LINES = (
    '{"type": "parcels.PostParcel", "key": "P-1", "data": {"depot": "Oslo", "weight_g": 1200}}\n'
    '{"type": "parcels.DeliverParcel", "version": 1, "key": "P-1", "data": {"delivered_at": "2026-03-02T11:00:00Z"}}\n'
)
BIRD = (
    '{"type": "sightings.BirdSeen", "key": "Faroe", "data": {"place": "Faroe", "kind": "puffin", "count": 3, "seen_at": 0}}\n'
)


class Shell:
    """The command line, with a package in a folder of its own."""

    def __init__(self, folder: Path, installed: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        shutil.copytree(installed, self.site)
        self._environ = clean_environ() | NOWHERE | {"PYTHONPATH": python_path(self.site)}

    def run(self, *args: str, stdin: str = "", **environ: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `eventfold schemas <args>`."""
        settings = self._environ | {"EVENTFOLD_DOMAINS": "parcels,sightings"} | environ
        done = process.run(["schemas", *args], settings, self.folder, stdin)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def edit(self, name: str, before: str, after: str, to: str | None = None) -> None:
        path = self.site / name
        assert before in path.read_text()
        (self.site / (to or name)).write_text(path.read_text().replace(before, after))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_parcels(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def shell(tmp_path: Path, installed: Path) -> Shell:
    return Shell(tmp_path, installed)


def test_a_domain_of_ones_own_passes(shell: Shell) -> None:
    code, out, err = shell.run("check")
    assert (code, err) == (0, "")
    assert out == (
        "18 versions of 13 messages of eventfold, logfold, parcels, sightings; "
        "no history was replayed (--history PATH): no problem\n"
    )


def test_what_eventfold_brings_along_passes_with_its_history(shell: Shell) -> None:
    history = str(REPOSITORY / "tests" / "recorded")
    code, out, _ = shell.run("check", "--history", history, EVENTFOLD_DOMAINS="accounts,flights", EVENTFOLD_INDEXES="flights")
    assert code == 0 and out.endswith(f"108 samples in {history} are read and folded as they were recorded: no problem\n")


def test_problems_are_lines_with_their_files_and_an_exit_code(shell: Shell) -> None:
    shell.edit("parcels/schemas/events/ParcelDelivered.v2.avsc", '"default": null, ', "")
    shell.edit("sightings/schemas/events/BirdSeen.v1.avsc", '"doc": "Where."', '"doc": ""')
    delivered, seen = "site/parcels/schemas/events/ParcelDelivered.v2.avsc", "site/sightings/schemas/events/BirdSeen.v1.avsc"
    expected = [
        f"{delivered}: it was changed after its release: restore it, and make the change in a new version",
        f"{delivered}: the field 'signed_by' has no default, but ParcelDelivered.v1.avsc does not have it",
        f"{seen}: the field 'place' has no doc: say what it means",
    ]
    code, out, err = shell.run("check")
    assert (code, sorted(out.splitlines()), err) == (1, expected, "eventfold: 3 problems\n")
    assert shell.run("check", "--domain", "sightings") == (1, f"{expected[2]}\n", "eventfold: 1 problem\n")
    assert shell.run("release")[0] == 1


def test_a_new_version_is_compared_released_and_recorded(shell: Shell) -> None:
    new = '"doc": "Why, for people."},\n{"name": "by", "type": ["null", "string"], "default": null, "doc": "Who."}'
    returned = "parcels/schemas/events/ParcelReturned.v{}.avsc"
    shell.edit(returned.format(1), '"doc": "Why, for people."}', new, returned.format(2))
    assert shell.run("diff", "parcels.ParcelReturned") == (
        0,
        "parcels.ParcelReturned version 1 to 2 (events)\n"
        "  - the field 'by' is new: null or string, with the default null\n"
        "version 2 reads what is written with version 1, by Avro's rules\n"
        "version 1 reads what is written with version 2, by Avro's rules\n",
        "",
    )
    listed = {(row["type"], row["version"]): row for row in json.loads(shell.run("list", "--json")[1])}
    row = listed["parcels.ParcelReturned", 2]
    assert (row["kind"], row["released"], listed["parcels.ParcelReturned", 1]["released"]) == ("events", False, True)
    code, out, _ = shell.run("show", row["fingerprint"])
    assert code == 0 and "parcels.ParcelReturned version 2 (events)" in out and "null or string  null     Who." in out
    assert json.loads(shell.run("show", "parcels.ParcelReturned", "--json")[1])["fields"][1]["name"] == "by"
    code, out, _ = shell.run("check")
    says = "it is not released: run `eventfold schemas release` before anything is written with it"
    assert (code, out) == (1, f"site/{returned.format(2)}: {says}\n")
    assert shell.run("release") == (0, "parcels: events/ParcelReturned.v2\nreleased: 1\n", "")
    assert shell.run("release")[1] == "every version is released already\n"
    assert shell.run("check")[0] == 0
    code, out, _ = shell.run("record", "--history", "recorded", "-", stdin=LINES)
    assert code == 0
    assert "parcels.events/0: samples added: 2\n" in out and out.endswith("recorded/folded.json: written\n")
    code, out, _ = shell.run("check", "--domain", "parcels", "--history", "recorded")
    missing = [line for line in out.splitlines() if line.startswith("recorded: no sample of parcels.")]
    assert code == 1 and len(out.splitlines()) == len(missing)
    assert "recorded: no sample of parcels.ParcelReturned version 2: add one with `eventfold schemas record`" in missing
    # What belongs to a domain that is not enabled stays as it is.
    code, out, _ = shell.run("record", "--history", "recorded", "-", stdin=BIRD, EVENTFOLD_DOMAINS="sightings")
    assert (code, out) == (0, "sightings.events/0: samples added: 1\nrecorded/folded.json: written\n")
    assert shell.run("check", "--domain", "sightings", "--history", "recorded")[0] == 0
    assert shell.run("check", "--domain", "parcels", "--history", "recorded")[1] == "".join(f"{line}\n" for line in missing)
    # What is folded otherwise is not noted over.
    shell.edit("parcels/projections.py", '"weight_g": event.data["weight_g"]', '"weight_g": event.data["weight_g"] // 100')
    code, out, _ = shell.run("record", "--history", "recorded")
    assert (code, out) == (
        1,
        "recorded/folded.json: the projection 'parcels', still version 1, folds parcels.events/0 into something else: 'P-1' of "
        "'parcels' had 'weight_g' 1200, has 'weight_g' 12; mend it, or raise its version\n",
    )


def test_a_version_that_cannot_be_read_ends_diff_with_1(shell: Shell) -> None:
    posted = "parcels/schemas/events/ParcelPosted.v{}.avsc"
    shell.edit(posted.format(1), '"type": "int"', '"type": "string"', posted.format(2))
    code, out, _ = shell.run("diff", "parcels.ParcelPosted", "1", "2")
    wrong = "the field 'weight_g' is string, but int in ParcelPosted.v1.avsc, which cannot be read as that"
    assert code == 1 and "  - the field 'weight_g' is string, was int\n" in out
    assert f"version 2 cannot read what is written with version 1, by Avro's rules\n  - {wrong}\n" in out


def test_code_that_does_not_start_is_one_problem_of_the_history(shell: Shell) -> None:
    (shell.folder / "recorded").mkdir()
    (shell.site / "parcels/schemas/events/ParcelPosted.v1.avsc").write_text("{")
    code, out, _ = shell.run("check", "--history", "recorded")
    assert code == 1
    assert "recorded: nothing is replayed, since today's code does not start: " in out
    assert "site/parcels/schemas/events/ParcelPosted.v1.avsc: not JSON: " in out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("check", "--domain", "nowhere"), "no domain is called 'nowhere'; there are: eventfold, logfold, parcels, sightings"),
        (("check", "--history", "nowhere"), "nowhere is no folder of recorded samples"),
        (
            ("show", "parcels.Lost"),
            "no message is called 'parcels.Lost'; there are: eventfold.CommandRefused, logfold.CommandRefused, parcels.",
        ),
        (("show", "parcels.ParcelKept", "--version", "3"), "parcels.ParcelKept has no version 3; there are: 1, 2"),
        (("diff", "parcels.ParcelPosted"), "parcels.ParcelPosted has no version before version 1, with which to compare it"),
        (("diff", "parcels.ParcelKept", "9"), "parcels.ParcelKept has no version 9; there are: 1, 2"),
        (("diff", "parcels.ParcelKept", "2", "2"), "parcels.ParcelKept version 2 cannot be compared with itself"),
        (("diff", "parcels.ParcelKept", "2"), "parcels.ParcelKept version 2 cannot be compared with itself"),
        (("record", "--history", "recorded", "nowhere.jsonl"), "nowhere.jsonl"),
        (("record",), "--history"),
    ],
    ids=lambda of: " ".join(of) if isinstance(of, tuple) else "",
)
def test_what_is_asked_wrongly(shell: Shell, args: tuple[str, ...], says: str) -> None:
    code, out, err = shell.run(*args)
    assert (code, out) == (2, "") and says in err


def test_a_list_that_cannot_be_written(shell: Shell) -> None:
    listed = shell.site / "parcels/schemas/released.txt"
    listed.unlink()
    listed.symlink_to(shell.folder / "nowhere" / "released.txt")
    code, out, err = shell.run("release", "--domain", "parcels")
    assert (code, out) == (1, "")
    assert err == f"eventfold: {listed} cannot be written (No such file or directory): release where the sources are\n"
