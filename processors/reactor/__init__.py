"""The daemon of a process manager: reacts to the log with commands, and fires its deadlines."""
