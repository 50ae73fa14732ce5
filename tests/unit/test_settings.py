"""Settings from the environment."""

from __future__ import annotations

import pytest

from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.errors import UsageError
from eventfold.store.connection import RedisSettings


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


def test_a_producer_is_idempotent_and_partitions_like_java() -> None:
    config = KafkaSettings().producer(**{"linger.ms": 5})
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["partitioner"] == "murmur2_random"
    assert config["linger.ms"] == 5


def test_a_redis_address_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="REDIS_URL"):
        RedisSettings.from_environ({"REDIS_URL": "http://example"}).connect()


def test_a_redis_address_is_shown_without_its_password() -> None:
    assert RedisSettings(url="rediss://me:s3cret@redis.example:6380/1").shown == "rediss://redis.example:6380/1"
