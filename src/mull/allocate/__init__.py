"""Where the next draw is worth most: stopping rules, and one budget over many problems."""
