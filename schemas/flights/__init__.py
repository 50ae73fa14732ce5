"""The messages of the domain `flights`: one .avsc a version in `commands/` and `events/`, and the upcasters between them."""

from schemas.flights.upcasters import upcasters as upcasters
