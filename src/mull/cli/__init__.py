"""The command line: `mull solve`, `sweep`, `curves`, `fit`, `advise`, `report`, `bank`, `list`, `serve` and more."""

import os


def main() -> None:
    """Runs the command line, or answers a shell that completes one, without importing what commands need."""
    if "MULL_COMPLETE" in os.environ:
        from mull.cli.completing import answer

        answer()
        return
    from mull.cli.app import run

    run()
