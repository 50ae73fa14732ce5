"""The command API: every command of the enabled domains, by its schema."""
