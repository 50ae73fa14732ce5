"""No request waits for another one to come: pairs that reach an idle server together, what comes as an event stream ends."""

from __future__ import annotations

import pytest

from tests.attack.pairs import KINDS, ask
from tests.http.conftest import Served
from tests.support.soak import SOAK

PAIRS = 2_500 if SOAK else 60
SPARED_MS = 100 if SOAK else 2_000
"""What other work on the machine may hold up an answer by; a request that waits for another one is not answered at all."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_no_request_waits_for_another_one_to_come(served: Served, kind: str) -> None:
    took = ask(served.url, kind, PAIRS)
    print(took)
    assert took.worst < max(100 * took.median, SPARED_MS), took
