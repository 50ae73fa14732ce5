"""The write side of `accounts`: what may happen to accounts and transfers, and its commands on the command line."""
