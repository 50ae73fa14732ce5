"""Makes Kafka's clients; what librdkafka does not take of the settings is told by the variable that says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from eventfold.kafka.errors import said
from eventfold.kafka.settings import KafkaSettings, variable_of
from eventfold.schemas.addresses import hidden
from eventfold.schemas.errors import UsageError

T = TypeVar("T")
_SECRET = re.compile(r"password|secret|jaas|pem|oauthbearer\.config")


def made(client: Callable[..., T], settings: KafkaSettings, config: Mapping[str, Any]) -> T:
    """A client of that configuration, which was made of the settings; UsageError where librdkafka does not take it."""
    try:
        return client(dict(config))
    except KafkaException as error:
        words = said(error).strip()
        named = [variable_of(name) for name in settings.properties if name in words]
        words = hidden(words, (value for name, value in settings.properties.items() if _SECRET.search(name)))
        raise UsageError(
            f"{', '.join(named) or 'the variables KAFKA_...'}: {words}. Any KAFKA_<PROPERTY> is for librdkafka: correct it or "
            "unset it. Kubernetes leaves out what it says of Services with `enableServiceLinks: false` in the pod's spec"
        ) from error
