"""Reports: tables for a terminal and plots."""
