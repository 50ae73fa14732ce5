"""From a body, in whatever version it was written, to data in the form of the newest one.

Between two upcasters, and where there is none, fastavro resolves by Avro's rules (Avro specification, "Schema Resolution"):
fields by name or alias, defaults, promotions. An upcaster is given data of exactly the version that it begins at, and what it
gives is written and read back in the next one, so that it fits that version's schema in every field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from io import BytesIO
from itertools import pairwise
from typing import Any

from fastavro import schemaless_reader
from fastavro.read import SchemaResolutionError

from eventfold.schemas.errors import DecodeError, EventfoldError, UsageError
from eventfold.schemas.parsed import TIMES, Parsed, decimals, kinds
from eventfold.schemas.upcasting import Upcaster
from eventfold.schemas.writing import Writer

Read = Callable[[bytes, int], dict[str, Any]]
"""(value, where its body begins) -> the data; DecodeError for what is no such body, or cannot be made one of the newest."""

Leg = Callable[[Parsed, Parsed], Read]

# What fastavro raises on bytes that are not of the schema; MemoryError comes from a length that cannot be.
_BAD_BODY = (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError, StopIteration)


def reads(versions: Sequence[Parsed], upcasters: Mapping[int, Upcaster], leg: Leg | None = None) -> Read:
    """How bodies of the first of these versions are read as data of the last one.

    versions: in their order, without one between. upcasters: by the version that they begin at. leg: how to go by Avro's
    rules; `resolved`, if not given. EventfoldError as there.
    """
    at, legs, steps = versions[0], list[tuple[Parsed, Parsed]](), list[tuple[Upcaster, Parsed]]()
    for older, newer in pairwise(versions):
        if (upcaster := upcasters.get(older.message.version)) is not None:
            legs.append((at, older))
            steps.append((upcaster, newer))
            at = newer
    read, *rest = [(leg or resolved)(*ends) for ends in (*legs, (at, versions[-1]))]
    for (upcaster, to), resolve in zip(steps, rest, strict=True):
        read = _upcast(read, upcaster, Writer(to, as_written=True), resolve)
    return read


def _upcast(before: Read, upcaster: Upcaster, writer: Writer, after: Read) -> Read:
    what = f"the upcaster {upcaster.name!r} of {upcaster.type} version {upcaster.version}"

    def read(value: bytes, start: int) -> dict[str, Any]:
        data = before(value, start)
        try:
            became = upcaster.function(data)
            if not isinstance(became, Mapping):
                raise UsageError(f"it is {became!r}, no dict")
            body = writer.write(b"", became)
        except UsageError as error:
            raise DecodeError(f"{what} gave no version {upcaster.version + 1}: {error}") from error
        except Exception as error:
            raise DecodeError(f"{what} failed: {type(error).__name__}: {error}") from error
        return after(body, 0)

    return read


def resolved(written: Parsed, wanted: Parsed) -> Read:
    """How bodies of one version are read as data of another, which may be the same, by Avro's rules.

    EventfoldError names a field whose unit changes between the two.
    """
    if written.message is wanted.message:
        return _plain(written)
    _same_units(written, wanted)
    writer, resolving, reader = written.schema, written.resolving, wanted.wanted
    if not wanted.chooses:
        # Avro's own rules read the same, in half the time.
        resolving, reader = writer, wanted.schema
    names = [field["name"] for field in reader["fields"]]

    def read(value: bytes, start: int) -> dict[str, Any]:
        body = BytesIO(value)
        body.seek(start)
        try:
            # What it leaves out, fastavro skips unseen: cut, or no UTF-8. So all is read once before.
            schemaless_reader(body, writer, None)
            if body.tell() != len(value):
                raise _too_long(written, value, body)
            body.seek(start)
            data: Any = schemaless_reader(body, resolving, reader)
        except SchemaResolutionError as error:
            raise DecodeError(f"{written} does not resolve to version {wanted.message.version}: {error}") from error
        except _BAD_BODY as error:
            raise _no_body(written, error) from error
        if wanted.shares:
            data = deepcopy(data)
        return {name: data[name] for name in names}

    return read


def _plain(written: Parsed) -> Read:
    schema = written.remembering

    def read(value: bytes, start: int) -> dict[str, Any]:
        body = BytesIO(value)
        body.seek(start)
        try:
            data: Any = schemaless_reader(body, schema, None)
        except _BAD_BODY as error:
            raise _no_body(written, error) from error
        if body.tell() != len(value):
            raise _too_long(written, value, body)
        found: dict[str, Any] = data
        return found

    return read


def _no_body(written: Parsed, error: BaseException) -> DecodeError:
    return DecodeError(f"the body is not a {written}: {type(error).__name__} {error}".rstrip())


def _too_long(written: Parsed, value: bytes, body: BytesIO) -> DecodeError:
    return DecodeError(f"{len(value) - body.tell()} bytes too many after a {written}")


def _same_units(written: Parsed, wanted: Parsed) -> None:
    """Avro's rules look through logical types: milliseconds would be read as microseconds, 1.50 as 0.150."""
    older, newer = _units(written), _units(wanted)
    for field in wanted.message.schema["fields"]:
        name = field["name"]
        was = next((older[of] for of in (name, *field.get("aliases", ())) if of in older), None)
        if was and name in newer and newer[name] != was:
            raise EventfoldError(
                f"{wanted.message.path}: the field {name!r} is {newer[name]}, but {was} in {written.message.path.name}; Avro "
                "would read the one as the other: declare an upcaster between the two"
            )


def _units(parsed: Parsed) -> dict[str, str]:
    """The record's own fields whose numbers have a unit, and which."""
    units = {name: kind for name, kind in kinds(parsed.message.schema) if kind.startswith(TIMES)}
    return units | {name: f"decimal with a scale of {of.scale}" for name, of in decimals(parsed.message.schema).items()}
