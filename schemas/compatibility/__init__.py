"""The gate: whether what is about to be released keeps every byte of the log readable. Pure checks of schema files."""
