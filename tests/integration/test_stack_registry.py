"""The local stack's schema registry for real: added to a running stack, asked as Confluent's is, killed, and ended."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.deadline import eventually
from tests.support.local_stack import LocalStack

if shutil.which("java") is None and "CI" not in os.environ:
    pytest.skip("the local stack needs Java 17 or newer on the PATH", allow_module_level=True)

# Fetching the registry is part of the first start in a checkout.
pytestmark = pytest.mark.timeout(600)

DEPARTED = """
{
  "type": "record", "name": "Departed", "namespace": "tests", "doc": "A flight departed.",
  "fields": [
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "when"},
    {"name": "fare", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}}
  ]
}
"""


@dataclass(frozen=True, slots=True)
class Registry:
    url: str

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, parts.path + path, text, {"Content-Type": "application/vnd.schemaregistry.v1+json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def register(self, subject: str, schema: str) -> tuple[int, Any]:
        return self.ask("POST", f"/subjects/{subject}/versions", {"schema": schema})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A running stack, without a registry yet."""
    made = LocalStack(tmp_path_factory.mktemp("registry") / "stack")
    try:
        made.up()
        yield made
    finally:
        made.clean()


@pytest.fixture(scope="module")
def registry(stack: LocalStack) -> Registry:
    before = {name: stack.pid(name) for name in ("redis", "kafka-1")}
    made = Registry(stack.registry_url())
    assert {name: stack.pid(name) for name in before} == before
    return made


def with_field(schema: str, **field: object) -> str:
    content = json.loads(schema)
    content["fields"].append(field)
    return json.dumps(content)


def test_a_schema_comes_back_by_its_id_as_it_was_written(registry: Registry) -> None:
    status, registered = registry.register("tests.Departed", DEPARTED)
    assert status == 200
    assert registry.register("tests.Departed", DEPARTED) == (200, registered)
    status, found = registry.ask("GET", f"/schemas/ids/{registered['id']}")
    assert (status, found["schema"]) == (200, DEPARTED)
    status, looked_up = registry.ask("POST", "/subjects/tests.Departed", {"schema": DEPARTED})
    assert (status, looked_up["id"], looked_up["version"]) == (200, registered["id"], 1)


def test_a_subjects_compatibility_is_kept_to(registry: Registry) -> None:
    status, _ = registry.ask("PUT", "/config/tests.Kept", {"compatibility": "FULL_TRANSITIVE"})
    assert status == 200
    assert registry.register("tests.Kept", DEPARTED)[0] == 200
    status, error = registry.register("tests.Kept", with_field(DEPARTED, name="gate", type="string"))
    assert (status, error["error_code"]) == (409, 409)
    assert "gate" in error["message"]
    assert registry.register("tests.Kept", with_field(DEPARTED, name="gate", type="string", default=""))[0] == 200


def test_a_killed_registry_is_started_again_alone_and_gives_no_id_twice(stack: LocalStack, registry: Registry) -> None:
    before = {name: stack.pid(name) for name in ("redis", "kafka-1", "registry")}
    _, registered = registry.register("tests.Killed", with_field(DEPARTED, name="killed", type="int"))
    os.kill(before["registry"], signal.SIGKILL)
    eventually(lambda: not listens(stack.registry_port), "the registry is gone")
    stack.up()
    assert {name for name, pid in before.items() if stack.pid(name) != pid} == {"registry"}
    status, found = registry.ask("GET", f"/schemas/ids/{registered['id']}")
    assert status == 200
    assert "killed" in found["schema"]
    _, later = registry.register("tests.Killed.Later", with_field(DEPARTED, name="later", type="int"))
    assert later["id"] > registered["id"]


def test_it_listens_on_the_loopback_address_alone(stack: LocalStack, registry: Registry) -> None:
    assert registry.ask("GET", "/subjects")[0] == 200
    # All of 127.0.0.0/8 is this machine, so a socket that is bound to every address answers at 127.0.0.2 too.
    assert listens(stack.registry_port)
    assert not listens(stack.registry_port, "127.0.0.2")


def test_it_ends_with_the_stack_and_writes_nothing_outside_of_its_folder(stack: LocalStack, registry: Registry) -> None:
    folder = stack.state / "registry"
    assert (folder / "data" / "registry.mv.db").is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["data", "tmp"]
    stack.clean()
    assert not listens(stack.registry_port)
    assert not Path(stack.state).exists()


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
