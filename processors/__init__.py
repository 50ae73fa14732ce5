"""Long-running daemons and replay jobs, and what they need of Kafka."""
