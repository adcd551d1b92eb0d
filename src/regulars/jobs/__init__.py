"""The background door: tasks that run after the answer, and the worker that runs them."""
