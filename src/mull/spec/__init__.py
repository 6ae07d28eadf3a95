"""Specs on the command line, and resolution of the names in them."""

from mull.spec.grammar import NEWLINE as NEWLINE
from mull.spec.grammar import Make as Make
from mull.spec.grammar import Placeholder as Placeholder
from mull.spec.grammar import build as build
from mull.spec.grammar import describe as describe
from mull.spec.grammar import head as head
from mull.spec.grammar import named as named
from mull.spec.grammar import strategy as strategy
from mull.spec.tables import EXECUTORS as EXECUTORS
from mull.spec.tables import JUDGES as JUDGES
from mull.spec.tables import MODELS as MODELS
from mull.spec.tables import STRATEGIES as STRATEGIES
from mull.spec.tables import TASKS as TASKS
from mull.spec.tables import VERIFIERS as VERIFIERS
from mull.spec.tables import found as found
from mull.spec.tables import installed as installed
from mull.spec.tables import is_named as is_named
from mull.spec.tables import load as load
from mull.spec.tables import parted as parted
