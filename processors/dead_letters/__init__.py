"""What could not be worked on: looked at, tried again, thrown away; whoever owns it."""
