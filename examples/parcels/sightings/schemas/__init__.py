"""The messages of `sightings`: one .avsc a version in `events/`."""
