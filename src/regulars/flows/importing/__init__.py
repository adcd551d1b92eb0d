"""Bulk import of orders: files become rows, rows become orders of customers, bad lines a list of reasons."""
