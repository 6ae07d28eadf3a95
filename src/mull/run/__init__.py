"""Runs: a strategy's only access to models, verifiers, judges and programs."""

from mull.run.run import Run as Run
from mull.run.run import Strategy as Strategy
