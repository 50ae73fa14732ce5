"""The messages of the domain `accounts`: one .avsc a version in `commands/` and `events/`; and what an amount is."""
