"""The messages of the domain `flights`: one .avsc a version in `commands/` and `events/`, and the upcasters between them."""

from flights.schemas.upcasters import upcasters as upcasters
