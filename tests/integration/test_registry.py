"""A real registry of Confluent's API: versions and their ids, modes, what it refuses, and what it does not know."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from eventfold.kafka.schema_registry import Registry
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, EventfoldError, UnavailableError, UsageError
from eventfold.schemas.registry.framing import Confluent
from eventfold.schemas.registry.settings import RegistrySettings

# Fetching the registry is part of the first start in a checkout.
pytestmark = pytest.mark.timeout(600)

ID = {"name": "id", "type": "string", "doc": "its id"}
COUNT = {"name": "count", "type": "int", "default": 1, "doc": "how many"}


class Own:
    """A domain whose types no other test has, and the registry."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.namespace = f"t{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.outside = SchemaRegistryClient({"url": url})
        self._registries: list[Registry] = []
        (folder / "events").mkdir()

    @property
    def type(self) -> str:
        return f"{self.namespace}.Made"

    def schema(self, *fields: dict[str, Any], doc: str = "It was made.") -> dict[str, Any]:
        return {"type": "record", "name": "Made", "namespace": self.namespace, "doc": doc, "fields": [ID, *fields]}

    def write(self, version: int, *fields: dict[str, Any], doc: str = "It was made.") -> None:
        (self.folder / "events" / f"Made.v{version}.avsc").write_text(json.dumps(self.schema(*fields, doc=doc)))

    def registry(self, **more: Any) -> Registry:
        self._registries.append(Registry(RegistrySettings(url=self.url, **more)))
        return self._registries[-1]

    def close(self) -> None:
        for registry in self._registries:
            registry.close()
        self.outside.close()

    def codec(self, **more: Any) -> Codec:
        catalog = self.catalog()
        return Codec(catalog, Confluent(catalog, self.registry(**more)))

    def catalog(self) -> Catalog:
        return Catalog({self.namespace: self.folder})

    def id_in(self, value: bytes) -> int:
        assert value[:1] == b"\0"
        return int.from_bytes(value[1:5], "big")


@pytest.fixture
def own(registry_url: str, tmp_path: Path) -> Iterator[Own]:
    made = Own(registry_url, tmp_path)
    yield made
    made.close()


def test_a_version_is_registered_under_the_name_of_its_record_in_a_transitive_mode(own: Own) -> None:
    own.write(1)
    value = own.codec().encode(own.type, {"id": "a"})
    assert value[5:] == b"\x02a"
    assert own.outside.get_versions(own.type) == [1]
    assert own.outside.get_version(own.type, 1).schema_id == own.id_in(value)
    assert own.outside.get_compatibility(own.type) == "BACKWARD_TRANSITIVE"
    assert own.codec().encode(own.type, {"id": "a"}) == value


def test_all_versions_are_registered_in_their_order_when_all_is_loaded(own: Own) -> None:
    own.write(1)
    own.write(2, COUNT)
    own.codec().load()
    assert own.outside.get_versions(own.type) == [1, 2]
    assert "count" not in (own.outside.get_version(own.type, 1).schema.schema_str or "")


def test_a_mode_that_is_stricter_is_left_as_it_is(own: Own) -> None:
    own.outside.set_compatibility(own.type, "FULL_TRANSITIVE")
    own.write(1)
    own.codec().load()
    assert own.outside.get_compatibility(own.type) == "FULL_TRANSITIVE"


def test_docs_that_were_mended_make_no_new_version(own: Own) -> None:
    own.write(1)
    before = own.codec().encode(own.type, {"id": "a"})
    own.write(1, doc="It was made, once.")
    assert own.codec().encode(own.type, {"id": "a"}) == before
    assert own.outside.get_versions(own.type) == [1]


def test_both_encodings_are_read_and_an_older_version_becomes_the_newest(own: Own) -> None:
    own.write(1)
    first, single = own.codec().encode(own.type, {"id": "a"}), Codec(own.catalog()).encode(own.type, {"id": "a"})
    own.write(2, COUNT)
    codec = own.codec()
    for value in (first, single):
        for _ in range(2):
            assert codec.decode(value) == (own.type, {"id": "a", "count": 1})
            assert codec.reader({own.type: {"count"}})(value) == (own.type, {"count": 1})
        assert codec.written(value).version == 1
    assert codec.written(codec.encode(own.type, {"id": "a", "count": 2})).version == 2


def test_a_version_of_others_is_read_by_avros_rules(own: Own) -> None:
    own.write(1)
    codec = own.codec()
    codec.load()
    others = own.schema({"name": "note", "type": "string", "default": "", "doc": "theirs"})
    id_ = own.outside.register_schema(own.type, Schema(json.dumps(others), "AVRO"))
    assert codec.decode(b"\0" + id_.to_bytes(4, "big") + b"\x02a\x06abc") == (own.type, {"id": "a"})


def test_a_type_of_others_is_none_of_the_catalog(own: Own) -> None:
    own.write(1)
    name = f"{own.namespace}.Other"
    id_ = own.outside.register_schema(name, Schema(json.dumps({**own.schema(), "name": "Other"}), "AVRO"))
    with pytest.raises(DecodeError, match=f"no schema in the catalog is called '{name}'"):
        own.codec().decode(b"\0" + id_.to_bytes(4, "big") + b"\x02a")


def test_an_id_that_is_not_there_or_of_no_avro_record(own: Own) -> None:
    own.write(1)
    codec = own.codec()
    with pytest.raises(DecodeError, match=r"the schema registry at http://\S+ has no schema 2147483647"):
        codec.decode(b"\0\x7f\xff\xff\xff\x02a")
    text = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    enum = {"type": "enum", "name": "Kind", "symbols": ["ONE"]}
    for name, schema in (("Json", Schema(json.dumps(text), "JSON")), ("Kind", Schema(json.dumps(enum), "AVRO"))):
        id_ = own.outside.register_schema(f"{own.namespace}.{name}", schema)
        with pytest.raises(DecodeError, match="is no Avro"):
            codec.decode(b"\0" + id_.to_bytes(4, "big") + b"\x02a")
    with pytest.raises(DecodeError, match="3 bytes are too few"):
        codec.decode(b"\0\0\0")


def of(name: str, type_: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "doc": "One."}


class Others:
    """A registry's schemas that refer to each other: a record, in which one of another subject lies, in which an enum does."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self.kind = {"type": "enum", "name": "Kind", "namespace": own.namespace, "symbols": ["ONE", "TWO"], "doc": "One."}
        self.box = {"type": "record", "name": f"{own.namespace}.Box", "doc": "One.", "fields": [of("kind", "Kind")]}
        self.made = own.schema(of("box", "Box"), of("others", {"type": "array", "items": "Box"}), of("kind", "Kind"))
        kind = self._register("Kind", self.kind)
        box = self._register("Box", self.box, kind)
        self.references = [box, kind]

    def _register(self, name: str, schema: Any, *references: SchemaReference) -> SchemaReference:
        subject = f"{self._own.namespace}-{name}"
        self._own.outside.register_schema(subject, Schema(json.dumps(schema), "AVRO", [*references]))
        return SchemaReference(f"{self._own.namespace}.{name}", subject, 1)

    def write(self, schema: Any, references: list[SchemaReference], data: Any) -> bytes:
        """As Confluent's serializer writes it, under the name of a topic."""
        serialize = AvroSerializer(self._own.outside, Schema(json.dumps(schema), "AVRO", references))
        value = serialize(data, SerializationContext(f"{self._own.namespace}-topic", MessageField.VALUE))
        assert value is not None
        return value

    def union(self) -> tuple[list[str], list[SchemaReference]]:
        made = self._register("Made", self.made, *self.references)
        return [self._own.type, f"{self._own.namespace}.Box"], [made, self.references[0]]


DATA = {"id": "a", "box": {"kind": "TWO"}, "others": [{"kind": "ONE"}], "kind": "ONE"}


def test_a_schema_that_refers_to_others_is_read_with_them(own: Own) -> None:
    others = Others(own)
    value = others.write(others.made, others.references, DATA)
    own.write(1, of("box", {**others.box, "fields": [of("kind", others.kind)]}), COUNT)
    codec = own.codec()
    assert codec.decode(value) == (own.type, {"id": "a", "box": {"kind": "TWO"}, "count": 1})
    assert codec.written(value).schema["fields"][2]["type"]["items"] == f"{own.namespace}.Box"


def test_a_union_at_the_top_is_read_as_the_record_of_its_branch(own: Own) -> None:
    others = Others(own)
    schema, references = others.union()
    values = [others.write(schema, references, DATA), others.write(schema, references, {"kind": "TWO"})]
    assert values[0][:5] == values[1][:5]
    own.write(1, COUNT)
    codec = own.codec()
    read = codec.reader({own.type: None})
    for _ in range(2):
        assert codec.decode(values[0]) == read(values[0]) == (own.type, {"id": "a", "count": 1})
        with pytest.raises(DecodeError, match=rf"no schema in the catalog is called '{own.namespace}\.Box'"):
            codec.decode(values[1])


def test_without_a_registry_its_messages_are_none(own: Own) -> None:
    own.write(1)
    value = own.codec().encode(own.type, {"id": "a"})
    with pytest.raises(
        DecodeError, match="begins with 00, as messages by a schema registry do, and SCHEMA_REGISTRY_URL is not set"
    ):
        Codec(own.catalog()).decode(value)


def test_a_version_that_cannot_read_what_is_registered_is_refused(own: Own) -> None:
    own.write(1)
    own.codec().load()
    own.write(1, {"name": "new", "type": "string", "doc": "without a default"})
    with pytest.raises(
        EventfoldError, match=rf"cannot register {own.type} version 1 \(\S+Made\.v1\.avsc\).*HTTP 409.*schemas check"
    ):
        own.codec().load()


def test_what_is_missing_is_an_error_where_it_shall_not_be_registered(own: Own) -> None:
    own.write(1)
    with pytest.raises(
        EventfoldError, match=rf"{own.type} version 1 is not in the schema registry.*eventfold schemas register"
    ):
        own.codec(auto_register=False).load()
    assert own.type not in own.outside.get_subjects()
    own.codec().load()
    own.codec(auto_register=False).load()


def test_a_registry_that_is_away(own: Own) -> None:
    own.write(1)
    codec = own.codec()
    value = codec.encode(own.type, {"id": "a"})
    own.url = "http://user:secret@127.0.0.1:9/apis,http://127.0.0.1:10"
    away = own.codec()
    calls: list[Callable[[], object]] = [away.load, lambda: away.encode(own.type, {"id": "a"}), lambda: away.decode(value)]
    for call in calls:
        with pytest.raises(
            UnavailableError, match=r"http://127\.0\.0\.1:9/apis,http://127\.0\.0\.1:10 does not answer"
        ) as raised:
            call()
        assert "secret" not in str(raised.value)
        assert not isinstance(raised.value, DecodeError)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"URL": "localhost:8081"}, "SCHEMA_REGISTRY_URL: 'localhost:8081' is no address"),
        ({"URL": "http://a,b"}, "'b' is no address"),
        ({"BASIC_AUTH_USER_INFO": "me"}, "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO must be name:password"),
        ({"BASIC_AUTH_USER_INFO": "me:x", "BEARER_AUTH_TOKEN": "y"}, "are both set"),
        ({"URL": "http://me:x@localhost", "BEARER_AUTH_TOKEN": "y"}, "are both set"),
        ({"AUTO_REGISTER": "maybe"}, "SCHEMA_REGISTRY_AUTO_REGISTER must be true or false, not 'maybe'"),
    ],
)
def test_wrong_settings(settings: dict[str, str], says: str) -> None:
    environ = {f"SCHEMA_REGISTRY_{name}": value for name, value in {"URL": "http://localhost", **settings}.items()}
    with pytest.raises(UsageError) as raised:
        RegistrySettings.from_environ(environ)
    assert says in str(raised.value)


def test_settings_of_the_client_that_are_wrong(own: Own) -> None:
    own.write(1)
    with pytest.raises(UsageError, match=r"the settings of the schema registry \(SCHEMA_REGISTRY_...\) are wrong"):
        own.codec(properties={"ssl.ca.location": "/nowhere"}).load()


def test_no_registry_is_configured_by_what_others_set() -> None:
    assert RegistrySettings.from_environ({}) is None
    assert (
        RegistrySettings.from_environ({"SCHEMA_REGISTRY_HOST_NAME": "x", "SCHEMA_REGISTRY_PORT": "tcp://10.0.0.1:80"}) is None
    )
    found = RegistrySettings.from_environ({"SCHEMA_REGISTRY_URL": "http://a", "SCHEMA_REGISTRY_HOST_NAME": "x"})
    assert found == RegistrySettings(url="http://a")
