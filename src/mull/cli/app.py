"""The verbs of the command line, and how it ends."""

from __future__ import annotations

import gc
import os
import re
import sys
from typing import Annotated

import typer

from mull.cli.output import say, tell, tell_error, tell_misuse, tell_unexpected
from mull.cli.progress import LINES
from mull.cli.streams import output_kept
from mull.cli.verbs import Verb, lazy
from mull.errors import MullError, UsageError

VERBS = {
    "solve": Verb("mull.cli.solve:solve", "Answer one question."),
    "sweep": Verb(
        "mull.cli.sweep:sweep",
        "Compare strategies and models on a task. Run the same command again to resume after an interruption.",
    ),
    "study": Verb(
        "mull.cli.study:study",
        "Run a study from a plan: models on tasks at levels, strategies side by side, under one ceiling.",
    ),
    "curves": Verb(
        "mull.cli.curves:curves",
        "Estimate coverage, votes and best-of-k over k with intervals, the parts of their gap, and limits of draws.",
    ),
    "compare": Verb(
        "mull.cli.compare:compare",
        "Compare models and strategies on the same problems: a ranking, differences over all k, and what would settle.",
    ),
    "choose": Verb(
        "mull.cli.choose:choose",
        "Choose among finished runs of a coding agent on one task, and say how sure the choice is and what it cost.",
    ),
    "fit": Verb(
        "mull.cli.fit:fit",
        "Fit coverage laws to the counts and predict coverage, with a band that includes the choice of law.",
    ),
    "advise": Verb(
        "mull.cli.advise:advise",
        "Advise on more compute: whether it helps, which strategy, how many draws or a bigger model, and the cost.",
    ),
    "report": Verb(
        "mull.cli.report:report",
        "Write one self-contained page: the recommendation, gains, costs and intervals, curves, and every problem.",
    ),
    "demo": Verb(
        "mull.cli.demo:demo",
        "Replay a real model's recorded draws: what one draw, tests or votes, and more draws reach, at no cost.",
    ),
    "list": Verb(
        "mull.cli.listing:list_",
        "List what is available, with every option and its default; for served models, what their servers support.",
    ),
    "bank": Verb("mull.cli.bank:bank_app", "Manage the bank, which stores every draw for reuse."),
    "serve": Verb(
        "mull.cli.serve:serve",
        "Answer OpenAI's clients, with test-time scaling behind the API that they speak.",
    ),
    "train": Verb(
        "mull.cli.train:train_app",
        "Train verifiers: label steps, train reward models. Learn stopping rules, weights and compute policies.",
    ),
    "completion": Verb(
        "mull.cli.completion:completion",
        "Print the script that completes commands, options, names and specs in a shell.",
    ),
}
"""Each command and the first paragraph of its help: `mull --help` imports none of them."""

app = typer.Typer(
    name="mull",
    cls=lazy(VERBS),
    help="Test-time scaling for language models: sample, verify, vote, search and stop early; counts every token.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Plain help: importing the library that colours it takes longer than everything else.
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    if show:
        from mull import __version__

        say(f"mull {__version__}")
        raise typer.Exit


RAY_ADDRESS = re.compile(r"auto|local|ray://.+|[\w.\-]+:\d+|\[[0-9a-fA-F:]+\]:\d+")


def with_ray_address(words: list[str]) -> list[str]:
    """The command-line words, with a bare `--ray` of `mull sweep` expanded to `--ray ADDRESS`."""
    if words[:1] != ["sweep"] or "--ray" not in words:
        return words
    after = words.index("--ray") + 1
    has_task = not words[1].startswith("-")  # then what follows `--ray` is an address, be it a wrong one
    if after < len(words) and (RAY_ADDRESS.fullmatch(words[after]) or (has_task and not words[after].startswith("-"))):
        return words
    return [*words[:after], "local", *words[after:]]


@output_kept()
def run() -> None:
    """Runs the command line; an error is one line on standard error and an exit status."""
    # A second thread for numpy's small products spends more time waiting for work than it saves.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    LINES.begin()
    gc.set_threshold(50_000)  # imports make many objects and no garbage, which takes time to look for
    try:
        raise SystemExit(app(with_ray_address(sys.argv[1:]), standalone_mode=False) or 0)
    except (typer.Abort, KeyboardInterrupt) as error:  # Typer aborts on an interrupt, and on any EOFError
        if isinstance(error.__cause__, EOFError):
            tell_unexpected(error.__cause__)
            raise SystemExit(1) from None
        tell("mull: interrupted")
        raise SystemExit(130) from None
    except typer.TyperException as error:
        tell_misuse(error)
        raise SystemExit(2) from None
    except UsageError as error:
        tell_error(error)
        raise SystemExit(2) from None
    except MullError as error:
        tell_error(error)
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - never a traceback on the screen
        tell_unexpected(error)
        raise SystemExit(1) from None
    finally:
        gc.freeze()  # nor is there any to look for at the end
