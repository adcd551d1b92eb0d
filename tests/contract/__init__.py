"""The OpenAPI document against the program that serves it."""
