"""Strategies: frozen values whose fields are options and whose call is the algorithm."""
