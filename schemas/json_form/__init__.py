"""The JSON form of messages: how a value of each Avro type is read from JSON, shown as JSON, and told as JSON Schema."""
