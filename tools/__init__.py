"""The operator's commands: what one runs, asks and saves on the command line."""
