"""Reports: tables for a terminal, plots, and HTML pages."""
