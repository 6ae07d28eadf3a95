"""All that the command line prints, on standard output and standard error; untrusted text is made visible."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mull.shown import shown, shown_json

if TYPE_CHECKING:
    from rich.console import Console

SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
"""Names of environment variables whose values are in no output."""


def say(text: str) -> None:
    """Prints a line on standard output."""
    typer.echo(shown(text))


def tell(text: str) -> None:
    """Prints a line on standard error."""
    typer.echo(shown(text), err=True)


def tell_error(error: BaseException) -> None:
    """Prints an error in one line, and the lines of its notes below it."""
    tell(f"mull: {error}")
    for note in getattr(error, "__notes__", ()):
        typer.echo(shown(note, lines=True), err=True)


def tell_misuse(error: typer.TyperException) -> None:
    """Prints what is wrong with the words of a command, and an example of it; without any, its help."""
    message = error.format_message()
    context: Any = getattr(error, "ctx", None)
    if message.startswith("Usage:"):
        typer.echo(message, err=True)
        return
    option = getattr(error, "option_name", None)
    if context is not None and isinstance(option, str) and message.startswith("No such option"):
        message = f"{context.command_path} has no option {option}{_near_option(option, context.command)}"
    elif isinstance(option, str) and "requires an argument" in message:
        message = f"{option} takes a value, which is missing: write it after {option}"
    tell(f"mull: {message.removesuffix('.')}")
    if context is None:
        return
    verb, text = context.command_path, " ".join((context.command.help or "").split())
    example = re.search(r"Examples?: (mull .*?)(?:\.? *$|; mull)", text)
    if message.startswith("Got unexpected extra argument"):
        names = {name for parameter in context.command.params for name in parameter.opts}
        what = "quote a text that has blanks; name each strategy with -s and each model with -m"
        tell(f"{what if '--strategy' in names else f'{verb} takes no more words'}: {verb} --help")
    elif message.startswith("Missing") and example:
        tell(f"for example: {example[1]}")
    elif " " in verb:
        tell(f"{verb} --help tells its options")


def _about(option: str, command: Any) -> str:
    """What the help of a command says of one of its options, after a colon."""
    text = next((parameter.help for parameter in command.params if option in parameter.opts), None)
    return f": {text}" if text else ""


def _near_option(option: str, command: Any) -> str:
    """The option that is meant, with its help; or how strategies take it."""
    import difflib

    from mull.spec.mistakes import OPTION_CALLED

    names = [name for parameter in command.params for name in parameter.opts]
    short, plain = f"-{option.strip('-')}", option.lstrip("-").replace("-", "_")
    if "--strategy" in names and short not in names and plain in (*OPTION_CALLED, "best_of", "width", "depth"):
        return ": it is an option of a strategy, as in -s majority:n=8"
    near = [short] if short in names else difflib.get_close_matches(option, names, n=1, cutoff=0.6)
    return f": did you mean {near[0]}? {_about(near[0], command).removeprefix(': ')}".rstrip() if near else ""


def tell_unexpected(error: BaseException) -> None:
    """Prints an error that mull did not raise on purpose in one line, which names the file that holds its traceback.

    If the user's own classes are in use, the line has the error's text too, and says whether it came from one of them.
    """
    import tempfile
    import traceback

    told = "".join(traceback.format_exception(error))
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {last[0].name}, {Path(last[0].filename).name} line {last[0].lineno}" if last else ""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="mull-", suffix=".txt", encoding="utf-8", delete=False) as file:
            file.write(visible(told))
        where = f"the traceback is in {file.name}"
    except OSError as fault:
        where = f"its traceback cannot be written: {fault.strerror}"
    own, is_theirs = _own_classes(error)
    said = f": {_scrubbed(str(error).partition(chr(10))[0])}" if own else ""
    if is_theirs:
        tell(f"mull: {type(error).__name__}{place}{said}; {where}")
        return
    unless = f", unless {own} causes it" if own else ""
    tell(f"mull: unexpected {type(error).__name__}{place}{said}; {where}; please report it{unless}")


def visible(text: str) -> str:
    """A text of several lines as it may be shown: nothing in it has power over a terminal, or is a secret."""
    return shown(_scrubbed(text), lines=True)


def _scrubbed(text: str) -> str:
    """The text without the values of environment variables that hold secrets."""
    import os

    for name, value in os.environ.items():
        if len(value) >= 8 and SECRET.search(name):
            text = text.replace(value, f"[{name}]")
    return text


def _own_classes(error: BaseException) -> tuple[str, bool]:
    """The classes outside mull that are in use, and whether the error was raised in a file of theirs."""
    import sys
    import traceback

    from mull.spec.tables import added

    found = added()
    files = {getattr(sys.modules.get(cls.__module__), "__file__", None) for cls in found}
    return " or ".join(found.values()), any(f.filename in files for f in traceback.extract_tb(error.__traceback__)[-1:])


def print_json(value: Any) -> None:
    """Prints one line of JSON on standard output."""
    typer.echo(shown_json(value))


def stderr() -> Console:
    return _console(stderr=True)


def stdout() -> Console:
    """A console on standard output, wide enough for a table if it is not a terminal."""
    console = _console()
    return console if console.is_terminal else _console(width=160)


def print_lines(lines: Iterable[str], style: str | None = None) -> None:
    """Prints lines on standard output as they are: nothing in them is markup."""
    console = stdout()
    for line in lines:
        console.print(shown(line), style=style, markup=False)


def _console(**options: Any) -> Console:
    from rich.console import Console
    from rich.segment import Segment

    class Visible(Console):
        """A console that no text can control, whichever table or line it stands in."""

        def render(self, *what: Any, **how: Any) -> Iterable[Segment]:
            for part in super().render(*what, **how):
                yield part if part.control else part._replace(text=shown(part.text, lines=True))

    return Visible(highlight=False, **options)
