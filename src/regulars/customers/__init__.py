"""Customers: who they are, what identifies them, and how they are found."""
