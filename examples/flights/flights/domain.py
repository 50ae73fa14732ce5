"""The daemons of `flights`: a command handler with the flight decider."""

from eventfold.producers.domain import Domain
from flights.decider import decider

domain = Domain(name="flights", decider=decider)
