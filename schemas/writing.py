"""Writes bodies of one version of a message, and says which field does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.errors import UsageError
from eventfold.schemas.forms.compiled import Unusual, compiled
from eventfold.schemas.forms.form import Form
from eventfold.schemas.framing import SingleObject
from eventfold.schemas.longest import LONGEST
from eventfold.schemas.parsed import Parsed, parse


class Writer:
    """Writes messages of one version, by the one definition of what is written (`schemas.forms`), which fastavro's is not.

    as_written: whether values are written that can be read and that no writer may write any more (see `Form.take`).
    """

    def __init__(self, parsed: Parsed, *, as_written: bool = False) -> None:
        self._schema, self._as_written = parsed.schema, as_written
        self.form = Form(parsed.message)
        self._usual = compiled(self.form.root)

    def write(self, header: bytes, data: Mapping[str, Any]) -> bytes:
        """The header and the body; WrongDataError names all fields that do not fit, as `schemas.codec.Codec.encode` has it."""
        try:
            body = self._body(header, self._usual(data))
            if len(body) <= LONGEST:
                return body
        # UnicodeEncodeError: a text that UTF-8 cannot write, which the form names.
        except (Unusual, UnicodeEncodeError):
            pass
        return self._body(header, self.form.take(data, as_written=self._as_written))

    def _body(self, header: bytes, data: Mapping[str, Any]) -> bytes:
        body = BytesIO(header)
        body.seek(len(header))
        schemaless_writer(body, self._schema, data)
        return body.getvalue()


def written(catalog: Catalog, type: str, version: int, data: Mapping[str, Any], *, as_written: bool = False) -> bytes:
    """The bytes of a message in single-object encoding, as whoever had this version wrote it.

    as_written: see `Writer`. UsageError when there is no such version, or naming the field that does not fit it.
    """
    versions = {message.version: message for message in catalog.versions(type)}
    if version not in versions:
        raise UsageError(f"{type} has no version {version}; there are: {', '.join(map(str, versions))}")
    message = versions[version]
    return Writer(parse(message), as_written=as_written).write(SingleObject(catalog).header(message), data)
