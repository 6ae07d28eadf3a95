"""What runs in boxes: sent there as source, it imports the standard library only."""
