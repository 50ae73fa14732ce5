"""Kafka: settings, consumers, transactions, topics.

The only room that imports confluent_kafka; it knows no domain and no Redis.
"""
