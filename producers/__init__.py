"""The write side: deciders, command producers, outcomes. Knows nothing of read models."""
