"""The projector: folds the log into slices of a read model, and keeps them fed."""
