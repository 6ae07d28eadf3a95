"""`python -m mull` is the command line."""

from mull.cli import main

main()
