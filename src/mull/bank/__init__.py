"""The bank stores every draw and verdict under a key of the question or judgement: nothing is paid for twice."""

from mull.bank.base import Bank as Bank
from mull.bank.base import Claim as Claim
from mull.bank.base import patient as patient
from mull.bank.memory import MemoryBank as MemoryBank
from mull.bank.places import default_path as default_path
from mull.bank.places import default_url as default_url
from mull.bank.places import open_bank as open_bank
