"""Costs: arithmetic, prices, ceilings and FLOPs."""

from mull.cost.ceilings import CEILINGS as CEILINGS
from mull.cost.ceilings import UNLIMITED as UNLIMITED
from mull.cost.ceilings import affordable as affordable
from mull.cost.ceilings import check_budget as check_budget
from mull.cost.ceilings import check_quoted as check_quoted
from mull.cost.ceilings import fits as fits
from mull.cost.ceilings import lowest as lowest
from mull.cost.price import PRICED_BY as PRICED_BY
from mull.cost.price import Price as Price
from mull.cost.sums import Ledger as Ledger
from mull.cost.sums import known_or as known_or
from mull.cost.sums import mean as mean
from mull.cost.sums import times as times
from mull.cost.sums import total as total
