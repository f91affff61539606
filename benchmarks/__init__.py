"""Timings beside torch, in one process each way: python -m benchmarks."""
