"""The daemons of `accounts`: a command handler, and the process manager of the transfers."""

from processors.accounts.transfers import transfers
from processors.domain import Domain
from producers.accounts.decider import decider

domain = Domain(name="accounts", decider=decider, process_managers=(transfers,))
