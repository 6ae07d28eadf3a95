"""Reading `mull.toml`, and the schema that validates it."""
