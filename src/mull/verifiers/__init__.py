"""Verifiers: what tells good replies from bad ones at run time."""
