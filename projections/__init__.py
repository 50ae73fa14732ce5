"""The read side: declarations, folds, queries, paging, the past. Knows nothing of deciders."""
