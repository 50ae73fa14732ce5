"""What is asked for by an id: an aggregate's state and its events, one event, what became of a command."""
