"""The command line: `mull solve`, `sweep`, `curves`, `fit`, `advise`, `report`, `bank`, `list`."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from mull.cli.advise import advise
from mull.cli.bank import export, import_, merge, stat, verify
from mull.cli.curves import curves
from mull.cli.fit import fit
from mull.cli.fitting import calibrate, combine
from mull.cli.listing import list_
from mull.cli.report import report
from mull.cli.solve import solve
from mull.cli.sweep import sweep
from mull.cli.train import train_app
from mull.cli.weights import weights
from mull.errors import MullError, UsageError

app = typer.Typer(
    name="mull",
    help="Spend inference compute where it pays: draw, verify, vote and stop, with every token counted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing what would paint it takes longer than all else
    context_settings={"help_option_names": ["-h", "--help"]},
)
bank_app = typer.Typer(help="Look after the bank, where every draw that was paid for is kept.", no_args_is_help=True)

app.command()(solve)
app.command()(sweep)
app.command()(curves)
app.command()(fit)
app.command()(advise)
app.command()(report)
bank_app.command("import")(import_)
for verb in (export, merge, verify, stat):
    bank_app.command()(verb)
app.add_typer(bank_app, name="bank")
for learn in (weights, combine, calibrate):
    train_app.command()(learn)
app.add_typer(train_app, name="train")
app.command("list")(list_)


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
