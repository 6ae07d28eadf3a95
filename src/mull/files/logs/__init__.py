"""Logs that other tools write, read as recorded samples: one file a tool."""
