"""Where compute goes: how hard a problem is, which strategy suits it, one budget over many, and when to stop."""
