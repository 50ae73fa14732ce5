"""The messages of the shop."""
