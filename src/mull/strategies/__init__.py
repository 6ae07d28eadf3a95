"""Strategies: frozen dataclasses whose fields are the options and whose `__call__` is the algorithm."""
