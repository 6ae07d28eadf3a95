"""Parsing of replies: their thoughts, steps, answers and programs."""
