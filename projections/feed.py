"""A projection's commits, with what they change for who follows it; see eventfold.store.change_stream."""

from __future__ import annotations

from eventfold.projections.projection import Projection
from eventfold.store.change_stream import told
from eventfold.store.commits import Commit


def fed(projection: Projection, commit: Commit) -> Commit:
    """The same commit, with what it changes for the slice's stream, where the projection asks for one."""
    return told(
        commit, {table.name: [index.name for index in table.indexes] for table in projection.tables}, projection.changes
    )
