"""Whether scaling will help, how much, and what it will cost."""
