"""Arithmetic without I/O: scores, segments, values. Today is always an argument."""
