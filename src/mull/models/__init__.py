"""Models: remote, embedded and recorded, all the same to a strategy."""
