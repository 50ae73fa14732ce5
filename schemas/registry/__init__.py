"""A Confluent-compatible schema registry: where one is configured, messages say by its ids what they were written with."""
