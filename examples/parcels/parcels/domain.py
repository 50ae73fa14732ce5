"""The domain `parcels`: what decides, and the process manager of what comes back."""

from eventfold import Domain
from parcels.decider import decider
from parcels.returns import returns

domain = Domain(name="parcels", decider=decider, process_managers=(returns,))
