"""The forms of messages: which Python value and which JSON each Avro type takes, how it is shown, and its JSON Schema."""
