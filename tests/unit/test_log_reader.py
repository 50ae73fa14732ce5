"""Which offsets are read by reading on, and which by going there."""

from __future__ import annotations

import pytest

from eventfold.kafka.range_reader import _NEAR, _runs


@pytest.mark.parametrize(
    ("offsets", "runs"),
    [
        ([], []),
        ([7], [[7]]),
        ([0, 1, _NEAR, 2 * _NEAR], [[0, 1, _NEAR, 2 * _NEAR]]),
        ([0, _NEAR + 1, _NEAR + 2, 9 * _NEAR], [[0], [_NEAR + 1, _NEAR + 2], [9 * _NEAR]]),
    ],
)
def test_offsets_that_lie_near_each_other_are_one_run(offsets: list[int], runs: list[list[int]]) -> None:
    assert list(_runs(offsets)) == runs
