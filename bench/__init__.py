"""Benchmarks: every figure is measured against a baseline of the same run, on a stack of its own."""
