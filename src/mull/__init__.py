"""Test-time scaling made practical: spend inference compute where it pays."""

from mull.bank import MemoryBank as MemoryBank
from mull.errors import MullError as MullError
from mull.errors import UsageError as UsageError
from mull.run import Run as Run
from mull.types import AnswerKind as AnswerKind
from mull.types import Bank as Bank
from mull.types import Budget as Budget
from mull.types import Cost as Cost
from mull.types import Draw as Draw
from mull.types import Finish as Finish
from mull.types import Grade as Grade
from mull.types import Judge as Judge
from mull.types import Message as Message
from mull.types import Model as Model
from mull.types import Outcome as Outcome
from mull.types import Pair as Pair
from mull.types import Params as Params
from mull.types import Preference as Preference
from mull.types import Problem as Problem
from mull.types import Prompt as Prompt
from mull.types import Sample as Sample
from mull.types import Score as Score
from mull.types import Stopped as Stopped
from mull.types import Strategy as Strategy
from mull.types import Task as Task
from mull.types import Verifier as Verifier

__version__ = "0.1.0"
