"""The worker process that checks replies against schemas: the schema is a client's, the reply a model's.

Runs as `python -m mull.serve.schema_worker`. The kernel ends it when a check takes too much of its processor's time.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from functools import lru_cache
from typing import Any

from mull.serve.schema_limits import validator_of

MEMORY = 2 << 30


@lru_cache(maxsize=16)
def _validator(schema: str) -> Any:
    return validator_of(json.loads(schema))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "w", buffering=1)
    out.write("ready\n")
    for line in sys.stdin:
        question = json.loads(line)
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, question["seconds"])
        fits = _validator(question["schema"]).is_valid(json.loads(question["value"]))
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write(json.dumps({"fits": fits, "seconds": time.process_time() - began}) + "\n")


if __name__ == "__main__":
    main()
