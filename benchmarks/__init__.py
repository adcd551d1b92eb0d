"""Measurements of what the documentation claims; each program prints its figures and one JSON line last."""
