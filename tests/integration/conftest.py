"""A slice and its store, in a Redis database of the test's module."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from redis import Redis

from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId
from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture(scope="module")
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


@pytest.fixture
def redis(corner: Sandbox) -> Redis:
    return corner.redis


@pytest.fixture
def store(redis: Redis) -> SliceStore:
    return SliceStore(redis)


@pytest.fixture
def slice_() -> SliceId:
    return SliceId(owner="flights", generation=uuid.uuid4().hex, topic="flights.events", partition=3)
