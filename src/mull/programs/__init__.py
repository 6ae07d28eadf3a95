"""Programs that models write: prompts about them, running them in a sandbox, and testing them."""
