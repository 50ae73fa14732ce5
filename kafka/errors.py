"""What Kafka's client says went wrong."""

from __future__ import annotations

from confluent_kafka import KafkaException

__all__ = ["KafkaException"]
