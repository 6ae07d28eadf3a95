"""Code that is sent into sandboxes as source; it imports only the standard library."""
