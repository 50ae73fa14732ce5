"""JSON Schema of messages, for people and tools that write them as JSON."""

from __future__ import annotations

from typing import Any

from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.forms.form import Form


def json_schema(message: MessageSchema, at: str = "#") -> dict[str, Any]:
    """JSON Schema (draft 2020-12, also that of OpenAPI 3.1) of the data that `eventfold.schemas.codec.Codec.from_json` takes.

    at: where the schema will lie in its document (`#/components/schemas/flights.DepartFlight`), for references into its own
    `$defs`, which has the named types that are used more than once.
    What it accepts, `from_json` takes and `encode` writes, and the other way round, but for what JSON Schema has no words for:
    a day that its month does not have (`format` says it to who looks at it), a time that only its offset moves out of the
    years 1 to 9999, half of a surrogate pair in text, a whole number from 2^53 on that has a point or an exponent.
    EventfoldError for what is no Avro schema.
    """
    return Form(message).schema(at)
