"""The page itself, of no domain: files served under `/assets/`."""
