"""The JSON door: one file for each group of endpoints."""
