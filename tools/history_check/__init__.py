"""The gate's other half: whether today's code still folds what was ever written, and the commands of `eventfold schemas`."""
