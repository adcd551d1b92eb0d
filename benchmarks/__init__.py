"""Benchmarks: sizes by flags, the last line of stdout is one JSON object. Never run as tests."""
