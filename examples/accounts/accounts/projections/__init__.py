"""The read models of `accounts`."""

from accounts.projections.accounts import accounts
from accounts.projections.statements import statements
from accounts.projections.totals import totals
from accounts.projections.transfers import transfers

projections = [accounts, statements, transfers, totals]
