"""A domain of pure facts: birds that were seen. Nothing decides about them."""
