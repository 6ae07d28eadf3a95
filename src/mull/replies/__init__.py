"""What a reply says: its thought, its steps, its answer, its program."""
