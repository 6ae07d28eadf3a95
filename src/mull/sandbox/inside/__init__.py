"""What runs in a box, on the other side of the wall: sent there as source, it imports the standard library only."""
