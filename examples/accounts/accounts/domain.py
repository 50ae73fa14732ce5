"""The daemons of `accounts`: a command handler, and the process manager of the transfers."""

from accounts.decider import decider
from accounts.transfers import transfers
from eventfold.producers.domain import Domain

domain = Domain(name="accounts", decider=decider, process_managers=(transfers,))
