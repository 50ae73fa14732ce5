"""What the tests with a real Kafka and a real Redis share."""
