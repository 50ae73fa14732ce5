"""The messages of the domain `flights`: one .avsc a version in `commands/` and `events/`."""
