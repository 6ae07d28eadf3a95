"""Replies of models that repeat themselves are read in time that grows as they do."""

import asyncio
import gc
import time
from collections.abc import Callable

import pytest

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.replies.fingerprint import fingerprint
from mull.replies.programs import program_of, programs_of
from mull.replies.tests import assertions_of, calls_of, pairs_of

FRAGMENTS = [
    "\n",
    " ",
    "\t\n",
    "a\n",
    "```\n",
    "```python\n",
    "```python\ndef f(x):\n",
    "```input\n",
    "~~~\n",
    "```x``` ",
    "``` ````",
    "```python ",
    "x```\n",
    "> ```\n",
    "1. ```\n",
    "'''python\n",
    "`",
    "`f = 1` ",
    "{",
    "[",
    "'",
    '"',
    '"""',
    "'''\n",
    'x = """\n',
    "\\",
    "\\\n",
    '"\\',
    "#",
    "def f(",
    "def f(x):\n",
    'def f(x):\n    """\n',
    "    def f(x):\n",
    "def f(x):\n\n\n\n\n",
    "f(",
    "f ",
    "f(x)\n",
    "f = ",
    "x, ",
    "x[0]",
    "from x import ",
    "<code>",
    "<",
    "\\begin{code}",
    "if x:",
    "for a in ",
    "print(1)\n",
    "A = 1\n",
    "\r",
    ">>> f(1)\n",
    "```python\n>>> f(1)\n",
    "%%x\n",
    "```python\ndef g(x): return f(x)\n```\n",
    "assert f(",
    "assert f(1)\n",
    "assert f('\n",
    'f("""',
    "x = '",
]
GIVEN = {"entry_point": "f", "header": "import math\n\ndef f(x):\n    '''Does it.'''\n"}
FUNCTION = Problem("f", Prompt.user("Write f."), AnswerKind.CODE, GIVEN)
READS = Problem("p", Prompt.user("Write a program."), AnswerKind.CODE, {})


def sample(text: str) -> Sample:
    return Sample(FUNCTION.prompt, text, Finish.STOP)


READERS: dict[str, Callable[[str], object]] = {
    "function": lambda text: program_of(FUNCTION, sample(text)),
    "program": lambda text: program_of(READS, sample(text)),
    "fingerprint": fingerprint,
    "assertions": lambda text: assertions_of(text, "f"),
    "calls": lambda text: calls_of(text, "f"),
    "pairs": pairs_of,
}


def seconds(reader: Callable[[str], object], text: str) -> float:
    """Processor time of one reading, without the collector's, which depends on all else that is in memory."""
    gc.disable()
    started = time.process_time()
    reader(text)
    spent = time.process_time() - started
    gc.enable()
    return spent


def is_linear(reader: Callable[[str], object], fragment: str) -> bool:
    """Whether some of ten pairs of readings keep to it: the ratio is near 20, and 400 for a reader that is quadratic.

    What else the machine does can disturb either; to hide a quadratic reader it would have to do so sixteenfold.
    """
    for attempt in range(10):
        short, long = ((fragment * (n // len(fragment) + 1))[:n] + " " * attempt for n in (4_000, 80_000))
        if seconds(reader, long) <= 25 * max(seconds(reader, short), 0.000_16):
            return True
    return False


@pytest.mark.parametrize("name", READERS)
def test_twenty_times_the_text_takes_at_most_25_times_the_time(name: str) -> None:
    assert [fragment for fragment in FRAGMENTS if not is_linear(READERS[name], fragment)] == []


async def test_a_long_reply_does_not_hold_up_the_event_loop() -> None:
    """While it is read, the loop turns: many times, where one reading in the loop would be one turn."""
    texts = [sample("```python\ndef f(x):\n    return 1\n```\n" * 2500 + " " * i) for i in range(3)]
    reading = asyncio.ensure_future(programs_of(FUNCTION, texts))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert [text is not None and "return 1" in text for text in reading.result()] == [True] * 3
    assert turns > 10
