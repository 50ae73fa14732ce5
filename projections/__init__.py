"""The read side: projections, folds, queries. Knows nothing of deciders, and not how anything lies in Redis."""
