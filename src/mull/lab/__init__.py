"""Experiments: grids of task x strategy x model, with metrics and intervals."""
