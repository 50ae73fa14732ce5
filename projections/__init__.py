"""The read side: folds, slices in Redis, generations, queries. Knows nothing of deciders."""
