"""The daemons of `flights`: a command handler with the flight decider."""

from processors.domain import Domain
from producers.flights.decider import decider

domain = Domain(name="flights", decider=decider)
