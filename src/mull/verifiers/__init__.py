"""Verifiers and judges: score or compare replies at run time, without gold answers."""
