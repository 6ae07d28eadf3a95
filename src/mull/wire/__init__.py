"""The HTTP client that all servers are reached through."""
