"""The messages of `parcels`: one .avsc a version in `commands/` and `events/`."""
