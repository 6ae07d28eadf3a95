"""Coverage laws: what more draws would give, from counts of correct draws, and how far that can be known."""
