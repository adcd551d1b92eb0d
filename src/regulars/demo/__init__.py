"""A shop that looks alive: real orders of a real shop, with invented people."""
