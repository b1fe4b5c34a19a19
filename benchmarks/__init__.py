"""Benchmarks: ratios of two implementations that are timed in turn. `python -m benchmarks`."""
