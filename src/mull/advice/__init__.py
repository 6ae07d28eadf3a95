"""Predicts whether test-time scaling helps, by how much, and at what cost."""
