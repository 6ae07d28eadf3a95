"""The command line: `mull solve`, `sweep`, `curves`, `fit`, `advise`, `report`, `bank`, `list`."""

from __future__ import annotations

import gc
import re
import sys
from typing import Annotated

import typer

from mull.cli.verbs import Verb, lazy
from mull.errors import MullError, UsageError

VERBS = {
    "solve": Verb("mull.cli.solve:solve", "Answer one question."),
    "sweep": Verb(
        "mull.cli.sweep:sweep",
        "Compare strategies and models on a task. Run the same command again to go on after an interruption.",
    ),
    "curves": Verb(
        "mull.cli.curves:curves",
        "Coverage, votes and best-of-k over k with intervals, what their gap is made of, and what draws cannot do.",
    ),
    "fit": Verb(
        "mull.cli.fit:fit",
        "Coverage laws fitted to the counts, and what they predict, with a band that holds the choice of law.",
    ),
    "advise": Verb(
        "mull.cli.advise:advise",
        "Whether more compute will help, which strategy and how many draws, or a bigger model; and what it will cost.",
    ),
    "report": Verb(
        "mull.cli.report:report",
        "One self-contained page: what to use, what it buys and costs, how sure; curves, and every problem.",
    ),
    "list": Verb(
        "mull.cli.listing:list_",
        "What there is to choose from, with every option and its default; of served models, what their servers can do.",
    ),
    "bank": Verb("mull.cli.bank:bank_app", "Look after the bank, where every draw that was paid for is kept."),
    "train": Verb(
        "mull.cli.train:train_app",
        "Train verifiers, from labels of steps to reward models; learn when to stop and what to spend.",
    ),
}
"""Each command and the first paragraph of its help: `mull --help` imports none of them."""

app = typer.Typer(
    name="mull",
    cls=lazy(VERBS),
    help="Spend inference compute where it pays: draw, verify, vote and stop, with every token counted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing what would paint it takes longer than all else
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    if show:
        from mull import __version__

        typer.echo(f"mull {__version__}")
        raise typer.Exit


RAY_ADDRESS = re.compile(r"auto|local|ray://.+|[\w.\-]+:\d+")


def with_ray_address(words: list[str]) -> list[str]:
    """The words of a command line with `--ray ADDRESS` in full where `mull sweep` was told `--ray` alone."""
    if words[:1] != ["sweep"] or "--ray" not in words:
        return words
    after = words.index("--ray") + 1
    if after < len(words) and RAY_ADDRESS.fullmatch(words[after]):
        return words
    return [*words[:after], "local", *words[after:]]


def main() -> None:
    """Runs the command line; errors become one line on standard error and an exit status."""
    gc.set_threshold(50_000)  # imports make many objects and no garbage, which takes time to look for
    try:
        raise SystemExit(app(with_ray_address(sys.argv[1:]), standalone_mode=False) or 0)
    except typer.Abort:
        raise SystemExit(130) from None
    except typer.TyperException as error:
        if message := error.format_message():  # without any argument, the help was shown instead
            typer.echo(f"mull: {message}", err=True)
        raise SystemExit(2) from None
    except UsageError as error:
        typer.echo(f"mull: {error}", err=True)
        raise SystemExit(2) from None
    except MullError as error:
        typer.echo(f"mull: {error}", err=True)
        raise SystemExit(1) from None
    finally:
        gc.freeze()  # nor is there any to look for at the end
