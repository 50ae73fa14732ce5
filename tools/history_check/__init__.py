"""Whether today's code still folds what was ever written: a recorded history, replayed by it."""
