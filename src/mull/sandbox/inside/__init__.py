"""The code that runs inside a box: sent there as source, it imports only the standard library."""
