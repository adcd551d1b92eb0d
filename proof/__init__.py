"""Fault programs: each breaks things on purpose and counts what that did to what was promised."""
