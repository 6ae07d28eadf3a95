"""How long to wait before repeating a request."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping


def full_jitter(attempt: int, first: float, longest: float) -> float:
    """Seconds to wait before retry `attempt` (from 1): uniform up to `first * 2**(attempt - 1)`, at most `longest`."""
    return random.random() * min(longest, first * float(2 ** min(attempt - 1, 30)))


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that the headers of a refusal ask to wait, in any common form; `None` if they do not say."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        if (told := headers.get(name)) is None:
            continue
        try:
            return max(0.0, float(told) * scale)
        except ValueError:
            pass
        try:
            when = email.utils.parsedate_to_datetime(told).timestamp()
        except (OverflowError, TypeError, ValueError):
            continue
        return max(0.0, when - (time.time() if now is None else now))
    return None
