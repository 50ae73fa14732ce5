"""The query API: a resource a read model, derived from its declaration; and its changes as they happen."""
