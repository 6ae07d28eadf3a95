"""Models: remote, embedded and recorded, with one protocol."""
