"""Readers of other tools' logs as recorded samples: one module per tool."""
