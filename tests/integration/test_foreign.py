"""A topic of Avro records that another system began: folded, parked, retried, replayed and verified as eventfold's own are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.support import log
from tests.support.deadline import eventually
from tests.support.orders import ORDERED, SOURCE, fields, install, ordered, shop_of, write
from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("orders"))


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("mended"), mended=True)


@pytest.fixture
def shop(open_sandbox: OpenSandbox, broken: str) -> Iterator[Sandbox]:
    with shop_of(open_sandbox, broken) as sandbox:
        yield sandbox


def parked(sandbox: Sandbox) -> dict[str, int]:
    return {row["key"]: row["events"] for row in sandbox.json("dead-letters", "list", "--owner", "orders")}


def test_it_is_folded_replayed_verified_and_waited_for(shop: Sandbox) -> None:
    for number in range(1, 7):
        write(shop, number, ordered("tea", number))
    write(shop, 4, None)
    write(shop, 4, ordered("salt"))
    shop.projector("orders")
    # Written to partition 1, after a tombstone.
    answer = shop.json("query", "orders", "O-4", "--after", f"{shop.topic('orders.legacy')}/1@3")
    assert answer == {"id": "O-4", "item": "salt", "orders": 2}
    shop.caught_up_by_command("orders")
    assert "no event" not in shop.ok("verify", "orders")
    before = shop.generation("orders")
    shop.ok("replay", "orders")
    assert shop.generation("orders") != before
    assert shop.json("query", "orders", "O-4")["item"] == "salt"
    assert "topic that others write" in shop.fails(2, "query", "orders", "O-4", "--as-of-version", "1")
    assert "topic that others write" in shop.fails(2, "replay", "orders", "--key", "O-4")


def test_tail_shows_it_as_it_is_declared(shop: Sandbox) -> None:
    write(shop, 1, ordered("tea", 2))
    write(shop, 1, None)
    write(shop, 2, ordered("salt", 3))
    write(shop, 3, ordered("salt")[:-1])

    def tail(*options: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in shop.ok("tail", "orders.legacy", "--json", *options).splitlines()]

    rows = {row["position"].partition("/")[2]: row for row in tail()}
    first = rows["1@0"]
    assert (first["type"], first["schema_version"], first["key"]) == ("orders.Ordered", 1, "O-1")
    assert first["data"] == {"item": "tea", "count": 2} and "error" not in first
    assert rows["1@1"]["error"] == "it is no event, as its projection declares it"
    assert "the body is not a orders.Ordered" in rows["0@0"]["error"]
    assert [row["data"]["item"] for row in tail("--key", "O-2", "--type", "Ordered")] == ["salt"]
    assert 'orders.Ordered v1  O-2  {"item":"salt","count":3}' in shop.ok("tail", "orders.legacy")


def test_doctor_says_whether_it_is_kept_for_ever(shop: Sandbox) -> None:
    def found() -> list[tuple[str, str]]:
        rows = json.loads(shop.run("doctor", "--json").stdout)
        return [(row["state"], row["finding"]) for row in rows if row["what"].startswith("foreign topic")]

    ((state, says),) = found()
    assert state == "wrong" and "retention.ms=604800000: what it forgets cannot be folded anew" in says
    shop.configure("orders.legacy", **{"retention.ms": "-1"})
    eventually(lambda: found() == [("ok", "there, and kept for ever")], "the topic is kept")


def test_it_parks_by_the_key_of_the_event_and_retries(shop: Sandbox, mended: str) -> None:
    write(shop, 1, ordered("nothing"))
    write(shop, 1, ordered("tea"))
    write(shop, 4, ordered("tea", 5))
    write(shop, 7, ordered("tea")[:-1])
    write(shop, 7, ordered("tea", 9))
    projector = shop.projector("orders")
    shop.caught_up_by_command("orders")
    assert parked(shop) == {"O-1": 2, "O-7": 2}
    assert "is parked" in shop.fails(1, "query", "orders", "O-4", "--after", f"{shop.topic('orders.legacy')}/1@1")
    assert shop.json("query", "orders", "O-4")["orders"] == 1
    assert "are parked" in shop.fails(1, "query", "orders", "O-1")
    # After a restart what comes of the key is still parked.
    assert projector.stop() == 0
    shop.environ["PYTHONPATH"] = mended
    shop.projector("orders")
    write(shop, 1, ordered("salt"))
    eventually(lambda: parked(shop) == {"O-1": 3, "O-7": 2}, "the next one of the key is parked too")
    shop.ok("dead-letters", "retry", "orders", "O-1")
    assert shop.json("query", "orders", "O-1") == {"id": "O-1", "item": "salt", "orders": 3}
    assert "the body is not a orders.Ordered" in shop.run("dead-letters", "retry", "orders", "O-7").stdout
    bad, good = shop.json("dead-letters", "show", "orders", "O-7")["records"]
    assert "the body is not a orders.Ordered" in bad["undecodable"] and bad["bytes"]
    assert (good["type"], good["schema_version"], good["data"]) == ("orders.Ordered", 1, {"item": "tea", "count": 9})
    shop.ok("verify", "orders")
    shop.ok("dead-letters", "discard", "orders", "O-7", "--yes")
    assert parked(shop) == {}
    assert shop.json("query", "orders", "O-7")["item"] == "tea"


def test_a_topic_that_has_forgotten_its_beginning_is_refused_in_a_sentence(shop: Sandbox) -> None:
    write(shop, 3, ordered("tea"))
    write(shop, 3, ordered("tea"))
    log.cut_start(shop, "orders.legacy", 0, 1)
    projector = shop.start("run", "projector", "orders")
    assert projector.ended() == 1
    assert "the log begins at offset 1, not at zero" in projector.log
    assert "begins at offset 1, not at 0" in shop.run("doctor").stdout
    assert "Traceback" not in projector.log


def test_topics_create_leaves_it_alone_and_its_absence_is_named(open_sandbox: OpenSandbox, broken: str) -> None:
    with open_sandbox(partitions=1, PYTHONPATH=broken, EVENTFOLD_DOMAINS="orders") as sandbox:
        assert "legacy" not in sandbox.ok("topics", "list")
        assert "does not exist" in sandbox.run("doctor").stdout
        said = sandbox.fails(1, "run", "projector", "orders")
        assert "orders.legacy' does not exist" in said and "another's" in said


def test_a_topic_in_confluents_format_whose_record_has_a_name_of_its_owners(
    open_sandbox: OpenSandbox, tmp_path: Path, registry_url: str
) -> None:
    name = f"com.acme.t{uuid.uuid4().hex[:8]}.Order"
    path = install(tmp_path, aliases=[name], source=SOURCE.replace('bare=Bare("orders.Ordered", 1),', ""))
    more = {"name": "note", "type": ["null", "string"], "default": None, "doc": "Theirs."}
    theirs = {**ORDERED, "namespace": name.rpartition(".")[0], "name": "Order", "fields": [more, *fields()]}
    with (
        shop_of(open_sandbox, path, SCHEMA_REGISTRY_URL=registry_url) as sandbox,
        SchemaRegistryClient({"url": registry_url}) as client,
    ):
        strategy = {"subject.name.strategy": record_subject_name_strategy}
        serialize = AvroSerializer(client, json.dumps(theirs), conf=strategy)
        value = serialize({"note": "soon", "item": "tea", "count": 3}, SerializationContext("any", MessageField.VALUE))
        write(sandbox, 1, value)
        sandbox.projector("orders")
        answer = sandbox.json("query", "orders", "O-1", "--after", f"{sandbox.topic('orders.legacy')}/1@0")
        assert answer == {"id": "O-1", "item": "tea", "orders": 1}
