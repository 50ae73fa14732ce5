"""The read models of `accounts`."""

from projections.accounts.accounts import accounts
from projections.accounts.statements import statements
from projections.accounts.totals import totals
from projections.accounts.transfers import transfers

projections = [accounts, statements, transfers, totals]
