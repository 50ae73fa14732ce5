"""The domain `flights`: what decides."""

from eventfold import Domain
from flights.decider import decider

domain = Domain(name="flights", decider=decider)
