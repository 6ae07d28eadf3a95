"""What `mull.toml` says, and the schema that checks it."""
