"""`logfold serve`: the two APIs, apart or together, with what only daemons know: outcomes, history, operations."""
