"""A registry that lets nobody in without a password or a token."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from eventfold.kafka.schema_registry import Registry
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, EventfoldError, UnavailableError
from eventfold.schemas.registry.framing import Confluent
from eventfold.schemas.registry.settings import RegistrySettings
from tests.support.flights import scheduled
from tests.support.guarded_registry import PASSWORD, Issuer, by_password, by_token
from tests.support.local_stack import REPOSITORY

# Fetching the registry is part of the first start in a checkout, which `registry_url` sees to.
pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("registry_url")]
LIBS = REPOSITORY / ".eventfold" / "registry-libs"
TYPE = "flights.FlightScheduled"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture(scope="module")
def guarded(registry_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with by_password(LIBS, tmp_path_factory.mktemp("guarded"), free_port()) as url:
        yield url


@pytest.fixture(scope="module")
def issued(registry_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Issuer]]:
    with by_token(LIBS, tmp_path_factory.mktemp("issued"), free_port()) as found:
        yield found


def written(**settings: str) -> bytes:
    """A message, written and read back by who has these settings."""
    found = RegistrySettings.from_environ({f"SCHEMA_REGISTRY_{name}": value for name, value in settings.items()})
    assert found is not None
    catalog = Catalog.installed(["flights"])
    with closing(Registry(found)) as registry:
        codec = Codec(catalog, Confluent(catalog, registry))
        codec.load()
        value = codec.encode(TYPE, scheduled(1))
        assert codec.decode(value).data == scheduled(1)
    return value


def refused(status: int, **settings: str) -> str:
    with pytest.raises(EventfoldError, match=rf"HTTP {status}\): see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO and ") as raised:
        written(**settings)
    assert not isinstance(raised.value, DecodeError | UnavailableError)
    assert PASSWORD not in str(raised.value)
    return str(raised.value)


def test_a_password(guarded: str) -> None:
    refused(401, URL=guarded)
    refused(401, URL=guarded, BASIC_AUTH_USER_INFO="writer:wrong")
    says = refused(403, URL=guarded, BASIC_AUTH_USER_INFO=f"reader:{PASSWORD}")
    assert "to BACKWARD_TRANSITIVE" in says
    value = written(URL=guarded, BASIC_AUTH_USER_INFO=f"writer:{PASSWORD}")
    # Who may only read does, once all is registered.
    assert written(URL=guarded, BASIC_AUTH_USER_INFO=f"reader:{PASSWORD}") == value
    assert written(URL=guarded.replace("//", "//reader:a%3Asecret@")) == value


def test_a_token(issued: tuple[str, Issuer]) -> None:
    url, issuer = issued
    refused(401, URL=url)
    refused(401, URL=url, BEARER_AUTH_TOKEN="x.y.z")
    refused(401, URL=url, BEARER_AUTH_TOKEN=issuer.token("writer", -600))
    refused(403, URL=url, BEARER_AUTH_TOKEN=issuer.token("reader"))
    value = written(URL=url, BEARER_AUTH_TOKEN=issuer.token("writer"))
    assert written(URL=url, BEARER_AUTH_TOKEN=issuer.token("reader")) == value
