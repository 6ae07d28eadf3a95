"""Allocation of compute: problem difficulty, choice of strategy, a budget shared by many problems, stopping rules."""
