"""The laboratory: grids of task x strategy x model, their metrics and their intervals."""
