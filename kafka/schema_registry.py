"""A registry of Confluent's API, by Confluent's own client: the ids of schemas, and the schemas of ids.

Subjects are called like the records (RecordNameStrategy), since a topic holds many types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from eventfold.schemas.catalog import MessageSchema, is_record, message_of
from eventfold.schemas.errors import DecodeError, EventfoldError, UnavailableError, UsageError
from eventfold.schemas.json_text import parse_json
from eventfold.schemas.parsed import fingerprint
from eventfold.schemas.registry.framing import Written
from eventfold.schemas.registry.settings import RegistrySettings, variable
from eventfold.schemas.registry.standing_alone import standing_alone

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

T = TypeVar("T")
TRANSITIVE = ("BACKWARD_TRANSITIVE", "FULL_TRANSITIVE")
_MISSING = 404
_CONFLICT = 409
_LATER = (408, 429)


class Registry:
    """Looks up and registers the versions of messages.

    UnavailableError when it does not answer, or says that it cannot now; EventfoldError when it refuses.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings

    @cached_property
    def _client(self) -> SchemaRegistryClient:
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient
        except ImportError as error:
            what = f"SCHEMA_REGISTRY_URL is set, and Confluent's client lacks what it needs ({error})"
            raise EventfoldError(f"{what}: pip install 'eventfold[registry]'") from error
        try:
            return SchemaRegistryClient(self.settings.client())
        except (ValueError, TypeError, OSError) as error:
            says = self.settings.hidden(str(error))
            raise UsageError(f"the settings of the schema registry (SCHEMA_REGISTRY_...) are wrong: {says}") from error

    def id_of(self, message: MessageSchema) -> int:
        """The id of a version, which is registered if it is not there yet and may be (`RegistrySettings.auto_register`).

        One that differs in its docs alone counts as there. A subject that is made gets a transitive mode.
        """
        found = self.find(message)
        if found is not None:
            return found
        if not self.settings.auto_register:
            what = f"{message.type} version {message.version} is not in {self._name}"
            raise EventfoldError(f"{what}: let who may do so run `eventfold schemas register`")
        return self.register(message)

    def find(self, message: MessageSchema) -> int | None:
        """The id of a version; None when it is not there."""
        type_, client = message.type, self._client
        with suppress(_MissingError):
            what = f"look up {type_} version {message.version}"
            return self._ask(what, lambda: client.lookup_schema(type_, _schema(message), normalize_schemas=True)).schema_id
        with suppress(_MissingError):
            for number in self._ask(f"list the versions of {type_}", lambda: client.get_versions(type_)):
                what = f"read version {number} of {type_}"
                there = self._ask(what, partial(client.get_version, type_, number))
                if fingerprint(message_of(self._alone(there.schema, what), what)) == fingerprint(message):
                    return there.schema_id
        return None

    def register(self, message: MessageSchema) -> int:
        """Register a version, in a subject of a transitive mode."""
        type_, client = message.type, self._client
        if self.mode(type_) not in TRANSITIVE:
            what = f"set the compatibility of {type_} to {TRANSITIVE[0]}"
            self._ask(what, lambda: client.set_compatibility(type_, TRANSITIVE[0]))
        what = f"register {type_} version {message.version} ({message.path})"
        return self._ask(what, lambda: client.register_schema(type_, _schema(message), normalize_schemas=True))

    def mode(self, subject: str) -> str | None:
        """The compatibility mode of a subject; None when it has none of its own."""
        with suppress(_MissingError):
            return self._ask(f"read the compatibility of {subject}", lambda: self._client.get_compatibility(subject))
        return None

    def schema(self, id_: int) -> Written:
        """The schema of an id; DecodeError when there is none, or it is no Avro record and no union.

        Types of other subjects, to which it refers, are part of it.
        """
        what = f"the schema {id_} of {self._name}"
        try:
            found = self._ask(f"read the schema {id_}", lambda: self._client.get_schema(id_))
        except _MissingError as error:
            raise DecodeError(f"{self._name} has no schema {id_}") from error
        alone = self._alone(found, what)
        if not isinstance(alone, list):
            return message_of(alone, what)
        return [message_of(of, f"a branch of {what}") if is_record(of) else None for of in alone]

    def close(self) -> None:
        """Give up its connections; whoever asks again opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @property
    def _name(self) -> str:
        return f"the schema registry at {self.settings.shown}"

    def _alone(self, schema: Any, what: str) -> Any:
        """A schema with all that it refers to."""
        found = _json(schema, what)
        others = list(self._referenced(schema, what, set()))
        return standing_alone(found, others, what) if others or isinstance(found, list) else found

    def _referenced(self, schema: Any, what: str, met: set[tuple[str, int]]) -> Iterator[Any]:
        """What a schema refers to, each after what it refers to itself."""
        for of in schema.references or ():
            if (of.subject, of.version) not in met:
                met.add((of.subject, of.version))
                called = f"the version {of.version} of {of.subject}, to which {what} refers"
                try:
                    there = self._ask(f"read {called}", partial(self._client.get_version, of.subject, of.version)).schema
                except _MissingError as error:
                    raise DecodeError(f"{called}, is not there") from error
                yield from self._referenced(there, what, met)
                yield _json(there, called)

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError
        from httpx2 import HTTPError

        try:
            return call()
        except SchemaRegistryError as error:
            status = error.http_status_code
            says = f"{self._name} cannot {what}: {self.settings.hidden(str(error.error_message))} (HTTP {status})"
            if status == _MISSING:
                raise _MissingError(says) from error
            if status >= 500 or status in _LATER:
                raise UnavailableError(says) from error
            raise EventfoldError(f"{says}{_advice(status)}") from error
        except OAuthTokenError as error:
            says = self.settings.hidden(str(error))
            raise UnavailableError(f"{self._name} cannot {what}: there is no token: {says}") from error
        except HTTPError as error:
            says = f"{self._name} does not answer ({self.settings.hidden(str(error)) or type(error).__name__})"
            raise UnavailableError(f"{says}: start it, or see SCHEMA_REGISTRY_URL") from error


def _json(schema: Any, what: str) -> Any:
    if schema.schema_type not in (None, "AVRO"):
        raise DecodeError(f"{what} is no Avro schema, but one of {schema.schema_type}")
    try:
        return parse_json(schema.schema_str or "")
    except ValueError as error:
        raise DecodeError(f"{what} is not JSON: {error}") from error


class _MissingError(EventfoldError):
    """The registry says that there is no such thing."""


def _advice(status: int) -> str:
    if status in (401, 403):
        return f": see {variable('basic.auth.user.info')} and {variable('bearer.auth.token')}, and what that user may do"
    if status == _CONFLICT:
        return ": what is registered under that subject cannot be read as it; see `eventfold schemas check`"
    return ""


def _schema(message: MessageSchema) -> Any:
    from confluent_kafka.schema_registry import Schema

    return Schema(json.dumps(message.schema, ensure_ascii=False), "AVRO")
