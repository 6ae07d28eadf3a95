"""Tasks: problem sets, and the only holders of gold answers."""
