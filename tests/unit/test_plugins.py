"""Domains found by entry points: what a package may not declare is refused at start, with a sentence."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventfold.cli
from eventfold.installation import Installation
from eventfold.schemas import plugins
from eventfold.schemas.errors import UsageError

OURS = ["accounts", "flights", "parcels", "sightings"]
Install = Callable[..., None]
PROJECTION = """
from eventfold.projections.projection import Projection, Table
found = [Projection(name={!r}, version=1, topics=("t",), tables=(Table(name="t"),))]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package `<name>_pack` with this source, that declares the domain `name` by these entry points."""
    packs: list[str] = []

    def made(name: str, source: str = "", pack: str | None = None, **points: str) -> None:
        module = pack or f"{name.replace('-', '_')}_pack"
        packs.append(module)
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text(source)
        (tmp_path / module / "events").mkdir()
        schema = {"type": "record", "namespace": name, "name": "Made", "fields": []}
        (tmp_path / module / "events" / "Made.v1.avsc").write_text(json.dumps(schema))
        info = tmp_path / f"{module}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        declared = {"schemas": module, **points}
        text = "".join(f"[eventfold.{room}]\n{name} = {target}\n" for room, target in declared.items())
        (info / "entry_points.txt").write_text(text)

    monkeypatch.syspath_prepend(str(tmp_path))
    eventfold.cli._installation.cache_clear()
    yield made
    eventfold.cli._installation.cache_clear()
    for pack in packs:
        sys.modules.pop(pack, None)


def test_our_domains_are_installed() -> None:
    assert plugins.domains(None) == OURS
    assert plugins.domains(["flights"]) == ["flights"]


def test_a_package_of_ones_own_is_found(install: Install) -> None:
    install("shop", PROJECTION.format("stock"), projections="shop_pack:found")
    assert plugins.domains(None) == sorted([*OURS, "shop"])
    installation = Installation({})
    own = {"accounts", "aircraft", "board", "flights", "punctuality", "statements", "totals", "transfers", "transfers-timers"}
    own |= {"parcels", "returns-timers", "sightings"}
    assert set(installation.projections) == {*own, "stock"}
    assert set(installation.domains) == {"accounts", "flights", "parcels"}
    assert set(Installation({"EVENTFOLD_DOMAINS": "shop"}).projections) == {"stock"}


@pytest.mark.parametrize(
    ("environ", "names"),
    [({}, None), ({"EVENTFOLD_DOMAINS": " "}, None), ({"EVENTFOLD_DOMAINS": "b, a,"}, ["b", "a"])],
)
def test_enabled_domains(environ: dict[str, str], names: list[str] | None) -> None:
    assert plugins.enabled(environ) == names


def test_a_domain_that_is_not_installed_is_a_usage_error() -> None:
    with pytest.raises(
        UsageError, match="EVENTFOLD_DOMAINS names 'shop', which is not installed; there are: accounts, flights"
    ):
        plugins.domains(["shop"])


def test_two_packages_with_one_domain_are_a_usage_error(install: Install) -> None:
    install("shop")
    install("shop", pack="other_pack")
    with pytest.raises(UsageError, match="two packages declare the domain 'shop'"):
        plugins.domains(None)


def test_a_domain_called_eventfold_is_a_usage_error(install: Install) -> None:
    """Its schemas would replace those of the refusals."""
    install("eventfold")
    with pytest.raises(UsageError, match="eventfold_pack declares a domain called 'eventfold'"):
        plugins.domains(None)


def test_a_name_that_cannot_be_part_of_a_topic_is_a_usage_error(install: Install) -> None:
    install("My.Shop", pack="my_pack")
    with pytest.raises(UsageError, match=r"'My\.Shop' cannot name a domain"):
        plugins.domains(None)


@pytest.mark.parametrize("word", ["run", "query", "lag", "status", "topics", "doctor", "publish", "history", "event"])
def test_a_domain_called_like_a_command_is_a_usage_error(install: Install, word: str) -> None:
    install(word)
    with pytest.raises(UsageError, match=f"a domain cannot be called '{word}': that is a command of eventfold"):
        eventfold.cli.front_door.main(["status"], standalone_mode=False)


@pytest.mark.parametrize("command", [["topics", "create"], ["run", "all"]])
def test_where_no_domain_is_installed_there_is_nothing_to_run(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda **_: ())
    eventfold.cli._installation.cache_clear()
    try:
        with pytest.raises(UsageError, match="no domain is installed"):
            eventfold.cli.front_door.main(command, standalone_mode=False)
    finally:
        eventfold.cli._installation.cache_clear()


def test_a_projections_name_used_twice_is_a_usage_error(install: Install) -> None:
    install("shop", PROJECTION.format("board"), projections="shop_pack:found")
    with pytest.raises(UsageError, match="two projections are called 'board'; rename the one of 'shop'"):
        _ = Installation({}).projections


def test_an_index_is_a_projection_of_the_domains_that_want_one() -> None:
    assert not any(name.endswith("-index") for name in Installation({}).projections)
    index = Installation({"EVENTFOLD_INDEXES": " flights, flights,"}).projections["flights-index"]
    assert set(index.routes) == {
        f"flights.Flight{name}" for name in ("Arrived", "Cancelled", "Departed", "Diverted", "Scheduled")
    }


def test_an_index_of_a_domain_that_is_not_enabled_is_a_usage_error(install: Install) -> None:
    install("shop")
    installation = Installation({"EVENTFOLD_DOMAINS": "shop", "EVENTFOLD_INDEXES": "flights"})
    with pytest.raises(UsageError, match="EVENTFOLD_INDEXES names 'flights', which is not enabled; there are: shop"):
        _ = installation.projections


def test_a_projection_called_like_an_index_is_a_usage_error(install: Install) -> None:
    install("shop", PROJECTION.format("flights-index"), projections="shop_pack:found")
    assert "flights-index" in Installation({}).projections
    with pytest.raises(UsageError, match="two projections are called 'flights-index': the index of 'flights' is"):
        _ = Installation({"EVENTFOLD_INDEXES": "flights"}).projections


MANAGER = """
from eventfold.producers.domain import Domain
from eventfold.producers.process_manager import ProcessManager
from flights.decider import decider
manager = ProcessManager(name={!r}, domains=("shop",))
manager.deadline("late", starts="shop.Sold", ends="shop.Paid", due="by")(lambda event: [])
found = Domain(name={!r}, decider=decider, process_managers=(manager,))
"""


def test_the_timers_of_a_process_manager_are_a_projection_that_its_daemon_hosts(install: Install) -> None:
    install("shop", MANAGER.format("sales", "shop"), processors="shop_pack:found")
    installation = Installation({})
    assert "sales" in installation.process_managers
    assert installation.projections["sales-timers"].topics == ("shop.events",)
    assert "sales-timers" in installation.runtime.hosted


def test_a_process_managers_name_used_twice_is_a_usage_error(install: Install) -> None:
    install("shop", MANAGER.format("sales", "shop"), processors="shop_pack:found")
    install("store", MANAGER.format("sales", "store"), processors="store_pack:found")
    with pytest.raises(UsageError, match="two process managers are called 'sales'; rename the one of 'store'"):
        _ = Installation({}).process_managers


def test_a_projection_called_like_timers_is_a_usage_error(install: Install) -> None:
    source = MANAGER.format("sales", "shop") + PROJECTION.format("sales-timers").replace("found =", "rows =")
    install("shop", source, processors="shop_pack:found", projections="shop_pack:rows")
    with pytest.raises(UsageError, match="two projections are called 'sales-timers': that of the timers of 'sales' is"):
        _ = Installation({}).projections


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ({"projections": "shop_pack:absent"}, r"cannot be loaded: eventfold\.projections = shop_pack:absent"),
        ({"projections": "absent_pack:found"}, r"cannot be loaded: eventfold\.projections = absent_pack:found"),
        ({"projections": "shop_pack:numbers"}, "must name a list of eventfold.Projection"),
        ({"processors": "shop_pack:numbers"}, r"must name an eventfold.Domain called 'shop'"),
        ({"processors": "shop_pack:other"}, r"must name an eventfold.Domain called 'shop'"),
    ],
)
def test_what_is_not_of_the_kind_declared_is_a_usage_error(install: Install, points: dict[str, str], says: str) -> None:
    install("shop", "numbers = [1]\nfrom flights.domain import domain as other\n", **points)
    installation = Installation({})
    with pytest.raises(UsageError, match=says):
        _ = installation.projections, installation.domains


@pytest.mark.parametrize("source", ["1 / 0", "raise SystemExit(0)", "import nothing_of_that_name", "def"])
def test_a_package_that_cannot_be_imported_is_a_usage_error(install: Install, source: str) -> None:
    install("shop", source, producers="shop_pack:group")
    with pytest.raises(UsageError, match=r"'shop' cannot be loaded: eventfold\.producers = shop_pack:group: \w+"):
        eventfold.cli.front_door.main(["--help"], standalone_mode=False)


def test_schemas_that_are_no_package_are_a_usage_error(install: Install) -> None:
    install("shop", "numbers = [1]", schemas="shop_pack:numbers")
    with pytest.raises(UsageError, match="'shop' declares no package of schemas"):
        _ = Installation({}).codec


def test_a_domain_without_schemas_is_refused_at_once_with_what_to_do(install: Install, tmp_path: Path) -> None:
    """As an install without package data leaves it: all is there but the files that are not Python's."""
    install("shop")
    assert "shop" in Installation({}).domain_names
    shutil.rmtree(tmp_path / "shop_pack" / "events")
    with pytest.raises(UsageError) as raised:
        Installation({})
    assert f"the domain 'shop' has no schemas: {tmp_path / 'shop_pack'} holds neither commands/*.avsc" in str(raised.value)
    assert '"*" = ["commands/*.avsc", "events/*.avsc", "released.txt"]' in str(raised.value)
    assert Installation({"EVENTFOLD_DOMAINS": "flights"}).domain_names == ["flights"]
