"""Programs that models write: reading them out of replies, running them in a sandbox, and testing them."""
