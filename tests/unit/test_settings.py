"""Settings from the environment."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from redis import RedisError

from eventfold.kafka.clients import made
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.addresses import shown
from eventfold.schemas.errors import UsageError
from eventfold.schemas.registry.settings import RegistrySettings
from eventfold.store.connection import RedisSettings
from eventfold.store.errors import told
from eventfold.web.bounds import Bounds
from eventfold.web.oauth.settings import OAuthSettings


def test_the_defaults_are_the_local_stack() -> None:
    settings = KafkaSettings.from_environ({})
    assert settings == KafkaSettings(bootstrap="127.0.0.1:9092", prefix="", properties={})
    assert KafkaSettings.from_environ({"KAFKA_BOOTSTRAP_SERVERS": ""}).bootstrap == "127.0.0.1:9092"
    assert RedisSettings.from_environ({}).url == "redis://127.0.0.1:6379/0"


def test_any_other_kafka_property_goes_to_librdkafka() -> None:
    settings = KafkaSettings.from_environ(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9093",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "EVENTFOLD_TOPIC_PREFIX": "test.",
            "PATH": "/bin",
        }
    )
    assert settings.prefix == "test."
    assert settings.properties == {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}
    client = settings.client(**{"group.id": "g"})
    assert client["bootstrap.servers"] == "kafka.example:9093"
    assert client["security.protocol"] == "SASL_SSL"
    assert client["group.id"] == "g"


@pytest.mark.parametrize("name", ["KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_HOME", "KAFKA_JMX_PORT", "KAFKA_LOG4J_OPTS"])
def test_what_kafkas_own_scripts_read_is_left_alone(name: str) -> None:
    assert KafkaSettings.from_environ({name: "x"}).properties == {}


@pytest.mark.parametrize("service", ["KAFKA", "KAFKA_UI", "KAFKA_KAFKA_BOOTSTRAP"])
def test_what_kubernetes_says_of_services_is_left_alone(service: str) -> None:
    links = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "9092",
        f"{service}_SERVICE_PORT_TCP_CLIENTS": "9092",
        f"{service}_PORT": "tcp://10.0.0.1:9092",
        f"{service}_PORT_9092_TCP": "tcp://10.0.0.1:9092",
        f"{service}_PORT_9092_TCP_PROTO": "tcp",
        f"{service}_PORT_9092_TCP_PORT": "9092",
        f"{service}_PORT_9092_TCP_ADDR": "10.0.0.1",
    }
    kerberos = {"KAFKA_SASL_KERBEROS_SERVICE_NAME": "kafka"}
    assert KafkaSettings.from_environ(links | kerberos).properties == {"sasl.kerberos.service.name": "kafka"}


@pytest.mark.parametrize("client", [AdminClient, Consumer, Producer])
def test_a_variable_that_the_client_does_not_take_is_named_without_a_secret(client: Any) -> None:
    for name, value in {"KAFKA_NO_SUCH_THING": "x", "KAFKA_SECURITY_PROTOCOL": "none"}.items():
        settings = KafkaSettings.from_environ({name: value, "KAFKA_SASL_PASSWORD": "s3cret"})
        with pytest.raises(UsageError, match=f"^{name}: ") as raised:
            made(client, settings, settings.client(**({} if client is not Consumer else {"group.id": "g"})))
        assert "s3cret" not in str(raised.value)


def test_a_producer_is_idempotent_and_partitions_like_java() -> None:
    config = KafkaSettings().producer(**{"linger.ms": 5})
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["partitioner"] == "murmur2_random"
    assert config["linger.ms"] == 5


def test_a_redis_address_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="REDIS_URL"):
        RedisSettings.from_environ({"REDIS_URL": "http://example"}).connect()


def test_a_fault_of_redis_names_its_address_without_the_password() -> None:
    redis = RedisSettings(url="rediss://me:s3cret@redis.example:6380/1").connect()
    assert told(RedisError("away"), redis) == "Redis at redis.example:6380: away"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://h/0?decode_responses=True", "decode_responses"),
        ("redis://h/0?decode_responses=", "decode_responses"),
        ("redis://h/0?db=1&encoding=latin-1", "encoding"),
        ("redis://h/0?protocol=3", "protocol"),
        ("redis://h/0?legacy_responses=1", "legacy_responses"),
        ("redis://h/0?max_connections=1", "max_connections"),
        ("redis://h/0?socket_timeout=0.1", "socket_timeout"),
        ("redis://h/0?ssl_ca_certs=ca.pem", "ssl_ca_certs"),
        ("unix:///run/redis.sock?encoding_errors=ignore", "encoding_errors"),
    ],
)
def test_a_parameter_of_the_redis_address_that_is_not_allowed_is_named(url: str, name: str) -> None:
    """They would change what the client returns, end waits too early, or fail with the first command."""
    with pytest.raises(UsageError, match=f"REDIS_URL: the parameter '{name}'"):
        RedisSettings.from_environ({"REDIS_URL": url})


SECRETS = ("s3cr3t", "pw1", "pw2")


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:pw1?pw2@h/0",
        "redis://me:pw1/pw2@h/0",
        "redis://me:pw1#pw2@h/0",
        "redis://me:s3cr3t",
        "redis://:s3cr3t",
        "redis://h/0?password=pw1&pw2",
        "redis://h/0?password=pw1#pw2",
        "redis://h/0?password=pw1@pw2",
        "redis://me:pw1&x?pw2=1@h/0",
        "redis://h:s3cr3t/0?db=1",
        "http://me:s3cr3t@h",
        "unix://me:s3cr3t@/run/redis.sock?pw1=pw2",
    ],
)
def test_no_part_of_a_password_is_shown_of_a_redis_address_that_is_wrong(url: str) -> None:
    with pytest.raises(UsageError, match=r"^REDIS_URL: ") as raised:
        RedisSettings(url=url).connect()
    assert not any(secret in str(raised.value) for secret in SECRETS)


def test_settings_do_not_show_what_is_secret_when_they_are_printed() -> None:
    environ = {
        "KAFKA_SASL_PASSWORD": "s3cr3t",
        "REDIS_URL": "redis://me:s3cr3t@h/0?password=pw1",
        "SCHEMA_REGISTRY_URL": "https://me:s3cr3t@h?key=pw1",
        "EVENTFOLD_OAUTH_ISSUER": "https://i",
        "EVENTFOLD_OAUTH_AUDIENCE": "a",
        "EVENTFOLD_OAUTH_JWKS_URL": "https://i/keys?key=pw1",
        "EVENTFOLD_ACTOR_KEY": "s3cr3t" * 6,
    }
    for settings in (KafkaSettings, RedisSettings, RegistrySettings, OAuthSettings):
        printed = repr(settings.from_environ(environ))  # type: ignore[attr-defined]
        assert settings.__name__ in printed
        assert not any(secret in printed for secret in SECRETS)
    # As a client of Redis says it, too.
    assert not any(secret in repr(RedisSettings.from_environ(environ).connect()) for secret in SECRETS)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://me:s3cr3t@h:1/a?key=pw1#pw2", "https://h:1/a"),
        ("https://me:pw1@pw2@h/a", "https://h/a"),
        ("https://me:pw1/pw2@h/a", "https://***"),
        ("https://h/a?key=pw1@pw2", "https://***"),
        ("me:s3cr3t@h", "***"),
        ("pw1 pw2://h@", "***"),
        ("https://h", "https://h"),
    ],
)
def test_what_is_shown_of_an_address(url: str, seen: str) -> None:
    assert shown(url) == seen


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCHEMA_REGISTRY_URL", "me:s3cr3t@h"),
        ("SCHEMA_REGISTRY_URL", "https://me:pw1/pw2@h"),
        ("SCHEMA_REGISTRY_URL", "https://me:pw1,pw2@h"),
        ("KAFKA_BOOTSTRAP_SERVERS", "me:s3cr3t@h:9092"),
        ("EVENTFOLD_OAUTH_JWKS_URL", "http://h/keys?key=s3cr3t"),
        ("EVENTFOLD_OAUTH_ISSUER", "https://h/?key=s3cr3t"),
    ],
)
def test_no_part_of_a_password_is_shown_of_an_address_that_is_wrong(variable: str, value: str) -> None:
    oauth = {"EVENTFOLD_OAUTH_ISSUER": "https://i", "EVENTFOLD_OAUTH_AUDIENCE": "a", "EVENTFOLD_ACTOR_KEY": "k" * 32}
    with pytest.raises(UsageError, match=f"^{variable}") as raised:
        [of.from_environ({**oauth, variable: value}) for of in (KafkaSettings, RegistrySettings, OAuthSettings)]  # type: ignore[attr-defined]
    assert not any(secret in str(raised.value) for secret in SECRETS)


def test_what_the_client_of_a_registry_says_is_shown_without_what_is_secret() -> None:
    settings = RegistrySettings(url="https://me:s3cr3t@h,https://g", properties={"bearer.auth.token": "pw1"})
    assert settings.shown == "https://h,https://g"
    assert settings.hidden("no https://me:s3cr3t@h, no pw1") == "no ***, no ***"


@pytest.mark.parametrize("name", ["SASL_PASSWORD", "SSL_KEY_PASSWORD", "SASL_OAUTHBEARER_CLIENT_SECRET", "SSL_KEY_PEM"])
def test_what_kafkas_client_does_not_take_of_a_secret_is_not_shown(name: str) -> None:
    settings = KafkaSettings.from_environ({f"KAFKA_{name}": "s3cr3t"})

    def refusing(config: Any) -> Any:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, f"Invalid value s3cr3t for {variable_name}"))

    variable_name = name.lower().replace("_", ".")
    with pytest.raises(UsageError, match=f"^KAFKA_{name}: Invalid value ") as raised:
        made(refusing, settings, {})
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/0?health_check_interval=30&client_name=me&socket_keepalive=yes",
        "rediss://h?db=2&username=u&password=p%40w%3F&ssl_cert_reqs=none&ssl_ca_certs=ca.pem&ssl_min_version=771",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_parameters_of_the_redis_address_that_are_allowed(url: str) -> None:
    settings = RedisSettings.from_environ({"REDIS_URL": url})
    # What the client's connections take is checked as they are made.
    settings.connect().connection_pool.make_connection()
    settings.connect_on_loop().connection_pool.make_connection()


def test_bounds_of_the_server_are_whole_numbers() -> None:
    assert Bounds.from_environ({"EVENTFOLD_HTTP_WAITS": "7", "EVENTFOLD_HTTP_READS": ""}) == Bounds(waits=7)
    for text in ("0", "-1", "1.5", "many", "9" * 5_000, "1_0", "\u0661", "1000001"):
        with pytest.raises(UsageError, match="EVENTFOLD_HTTP_CLIENT_S must be a whole number from 1 to 1,000,000"):
            Bounds.from_environ({"EVENTFOLD_HTTP_CLIENT_S": text})
