"""Coverage laws: predict coverage at more draws from counts of correct draws, with the limits of the prediction."""
