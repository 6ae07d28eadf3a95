"""`mull bank`: statistics, integrity checks, import, merge and export of the bank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull.catalog import model_of
from mull.cli.options import (
    BankOption,
    JsonOption,
    SeedOption,
    bank_at,
)
from mull.cli.output import print_json, say, stdout, tell
from mull.cli.progress import progress
from mull.cli.tables import AllowUnreadableOption, reads_a_table, refuse
from mull.errors import UnknownNameError, UsageError, nearest
from mull.files.columns import Layout
from mull.files.output import check_writable
from mull.types import Params

if TYPE_CHECKING:
    from mull.bank.care import Taken
    from mull.bank.sql import SqlBank
    from mull.files.recording import Recording

bank_app = typer.Typer(
    help="Manage the bank, which stores every draw for reuse.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
BankArgument = Annotated[str | None, typer.Argument(help="File or database URL. [default: the user's]")]


@contextmanager
def _there(url: str | None) -> Iterator[SqlBank]:
    """Opens an existing bank. Raises `UsageError` if there is none; never creates one."""
    from mull.bank import default_url

    name = (default_url() if url is None else url).removeprefix("sqlite:///")
    path = Path(name)
    if url == "none" or ("://" not in name and not path.is_file()):
        raise UsageError(f"there is no bank {path}{nearest(path)}; runs with --bank {path} make one")
    with bank_at(url) as bank:
        assert bank is not None
        yield bank


@contextmanager
def _target(url: str | None) -> Iterator[SqlBank]:
    with bank_at(url) as bank:
        if bank is None:
            raise UsageError("there is no bank to keep it in: name one with --bank")
        yield bank


def stat(bank: BankArgument = None, as_json: JsonOption = False) -> None:
    """Show how many draws, scores and tokens the bank holds for each model and each verifier."""
    with _target(None) if bank is None else _there(bank) as opened:
        url, stats, judged = opened.url, opened.stat(), opened.judged()
    if as_json:
        verifiers = [j._asdict() for j in judged]
        print_json({"bank": url, "models": [s._asdict() for s in stats], "verifiers": verifiers})
        return
    from mull.report import table

    say(url)
    stdout().print(table.bank(stats))
    if judged:
        stdout().print(table.verdicts(judged))


def verify(bank: BankArgument = None, as_json: JsonOption = False) -> None:
    """Find draws, questions and verdicts that are truncated or altered; exit status 1 if there are any."""
    from mull.bank import care

    with _there(bank) as opened:
        url, counts = opened.url, care.counts(opened)
        with progress("thousands of rows", _thousands(counts), as_json) as advance:
            flaws = care.verify(opened, advance)
    if as_json:
        print_json({"bank": url, **counts, "flaws": [flaw._asdict() for flaw in flaws]})
    else:
        for flaw in flaws:
            say(str(flaw))
        say(
            f"{url}: {counts['draws']:,} draws of {counts['questions']:,} questions, {counts['verdicts']:,} verdicts: "
            + (f"{len(flaws):,} differ from what was written" if flaws else "all as they were written")
        )
    if flaws:
        raise typer.Exit(1)


def _thousands(counts: dict[str, int]) -> int:
    return sum(-(-n // 1000) for n in counts.values())


def recover(
    bank: Annotated[Path, typer.Argument(help="The damaged bank, an SQLite file.")],
    to: Annotated[Path, typer.Option("--to", help="The bank to save to; it is made if it is not there.")],
    as_json: JsonOption = False,
) -> None:
    """Save everything that is whole in a damaged bank to another one; the damaged one is only read.

    Example: mull bank recover bank.db --to saved.db
    """
    from mull.bank import recover as recovering

    if not bank.is_file():
        raise UsageError(f"there is no bank {bank}; one in PostgreSQL is restored with PostgreSQL's own tools")
    if to.exists() and to.samefile(bank):
        raise UsageError("--to is the damaged bank itself: name another file")
    with _target(str(to)) as target:
        saved = recovering.recover(bank, target)
    if as_json:
        print_json({"bank": str(bank), "to": str(to), **asdict(saved)})
        return
    say(
        f"{to}: {saved.draws:,} draws of {saved.questions:,} questions and {saved.verdicts:,} verdicts saved"
        + (f"; {saved.without_question:,} draws have lost their question's text" if saved.without_question else "")
    )


def merge(
    sources: Annotated[list[str], typer.Argument(help="Files or URLs of the banks to merge.")],
    bank: BankOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge other banks into this one; entries that it already has are unchanged."""
    from mull.bank import care

    with _target(bank) as target:
        taken = {}
        for name in sources:
            with _there(name) as source, progress(name, None, as_json) as advance:
                if source.url == target.url:
                    raise UsageError(f"{source.url} cannot be merged into itself")
                taken[name] = care.merge(target, source, advance)
    _say(taken, as_json)


@reads_a_table
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(help="A bank's export, recorded samples (any table), or other tools' logs: mull list formats."),
    ],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model that made the draws. [default: as in the file]")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", help="Temperature of the draws. [default: as in the log, else 1]"),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", help="max_tokens of the draws. [default: as in the log, else 400]")
    ] = None,
    seed: SeedOption = 0,
    bank: BankOption = None,
    allow_unreadable: AllowUnreadableOption = False,
    as_json: JsonOption = False,
    *,
    layout: Layout,
) -> None:
    """Import samples that were made elsewhere, as draws of their questions.

    Example: mull bank import samples.jsonl --model banked:gpt-4
    """
    from mull.lab import exchange, recorded

    def check(path: Path, recordings: Sequence[Recording]) -> None:
        refuse(recorded.faults_of(path, recordings, layout), allowed=allow_unreadable)

    the_model = None if model is None else model_of(model, seed)
    given = [name for name, value in (("temperature", temperature), ("max_tokens", max_tokens)) if value is not None]
    params = Params(1.0 if temperature is None else temperature, 400 if max_tokens is None else max_tokens)
    filing = exchange.Filing(the_model, params, seed, frozenset(given), layout)
    notes: list[str] = []
    with _target(bank) as target, progress("questions", None, as_json) as advance:
        taken = {str(path): exchange.take_in(target, path, filing, advance, notes.append, check) for path in files}
    for note in notes:
        tell(note)
    _say(taken, as_json)


def _say(taken: dict[str, Taken], as_json: bool) -> None:
    if as_json:
        print_json({"sources": [{"source": name, **asdict(t)} for name, t in taken.items()]})
    else:
        for name, t in taken.items():
            new = f"{t.draws:,} draws" + (f", {t.verdicts:,} verdicts" if t.verdicts else "")
            parts = [f"{new} imported", f"{t.already:,} were there already"]
            if t.renumbered:
                parts.append(f"{t.renumbered:,} draws were renumbered")
            if t.differing:
                parts.append(f"{t.differing:,} differ from the draw that the same seed gave here, and were left out")
            if t.torn:
                parts.append(f"{t.torn:,} are truncated or altered, and were left out: mull bank verify {name}")
            say(f"{name}: " + "; ".join(parts))
    if any(t.torn for t in taken.values()):
        raise typer.Exit(1)


def export(
    out: Annotated[Path, typer.Argument(help="FILE.jsonl (one line per question) or FILE.parquet (one row per draw).")],
    bank: BankOption = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Only this model, by its name in `mull bank stat`.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="Write scores and preferences too, as JSONL.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the bank's draws to a file; `mull bank import` reads the JSONL back without loss."""
    from mull.lab import exchange

    check_writable(out, "the export")
    check_writable(verdicts, "the verdicts")
    with _there(bank) as source, progress("hundreds of questions", None, as_json) as advance:
        if model is not None:
            known = [s.model for s in source.stat()]
            if model not in known:
                raise UnknownNameError("model of this bank", model, known)
        told: dict[str, Any] = {"draws": exchange.write_draws(source, out, model, advance), "out": str(out)}
        if verdicts is not None:
            told |= {"verdicts": exchange.write_verdicts(source, verdicts, advance)}
    if as_json:
        print_json(told)
    else:
        say(f"{told['draws']:,} draws written to {out}")


bank_app.command("import")(import_)
for _verb in (export, merge, recover, verify, stat):
    bank_app.command()(_verb)
