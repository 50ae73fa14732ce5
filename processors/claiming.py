"""Work that one process may do at a time, such as supervising an instance or replaying a read model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eventfold.processors.patience import patiently
from eventfold.schemas.errors import EventfoldError
from eventfold.store.claims import Claim

_RELEASE_S = 3.0


@contextmanager
def claimed(claim: Claim, stop: threading.Event) -> Iterator[None]:
    """Hold the claim for the block; when another took it meanwhile, `stop` is set and the block ends in an error.

    EventfoldError when another holds it. One that was killed on
    this host is taken over at once, one on another host when its claim expires (15 s). A Redis that is away, or that was
    emptied, ends nothing.
    """
    patiently(claim.take, stop)
    ended = threading.Event()
    keeper = threading.Thread(target=claim.keep, args=(ended, stop), daemon=True)
    keeper.start()
    try:
        yield
    except EventfoldError as error:
        if claim.lost:
            raise EventfoldError(claim.lost) from error
        raise
    finally:
        ended.set()
        # A Redis that hangs must not hold up the end: what is not released expires.
        keeper.join(_RELEASE_S)
    if claim.lost:
        raise EventfoldError(claim.lost)
