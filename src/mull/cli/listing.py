"""`mull list`: available strategies, verifiers, models, tasks and formats."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mull import spec
from mull.catalog import DEFAULT_MODEL, is_served, judge_of, model_of, verifier_of
from mull.cli.options import (
    ApiKeyEnvOption,
    BaseUrlOption,
    ConfigOption,
    JsonOption,
    SeedOption,
    UsdInOption,
    UsdOutOption,
    price_at,
)
from mull.cli.output import print_json, say, tell
from mull.cost import Price
from mull.errors import FileFormatError, ModelError, UnknownNameError, UsageError, VerifierError
from mull.run.needs import draws_of, needs_of, selects_of
from mull.shown import shown

if TYPE_CHECKING:
    from mull.models.gguf import Gguf
    from mull.models.served.model import OpenAIModel


KINDS = {
    "models": "model",
    "strategies": "strategy",
    "verifiers": "verifier",
    "judges": "judge",
    "executors": "executor",
    "tasks": "task",
}


def list_(
    what: Annotated[str, typer.Argument(help="models, strategies, verifiers, judges, executors, tasks or formats.")],
    check: Annotated[
        bool, typer.Option("--check", help="Test verifiers or judges on a right and a wrong solution.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--verifier", "--judge", help="With --check: the ones to test. [default: those that need no options]"
        ),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Probe again what the models' servers support; costs about 20 calls.")
    ] = False,
    config: ConfigOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    usd_per_mtok_in: UsdInOption = None,
    usd_per_mtok_out: UsdOutOption = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only these models. [default: all in mull.toml]")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """List what is available, with every option and its default; for served models, what their servers support.

    Examples: mull list models --probe; mull list verifiers --check --verifier countdown
    """
    import asyncio

    tables = {
        "models": spec.MODELS,
        "strategies": spec.STRATEGIES,
        "verifiers": spec.VERIFIERS,
        "judges": spec.JUDGES,
        "executors": spec.EXECUTORS,
        "tasks": spec.TASKS,
    }
    if what == "formats":
        _print_formats(as_json)
        return
    if what not in tables:
        raise UnknownNameError("list", what, [*tables, "formats"])
    if check:
        _check(what, only, only or _ready(what, tables[what], config), seed, config, as_json)
        return
    kind, classes = KINDS[what], {name: spec.load(path) for name, path in tables[what].items()}
    for name in spec.installed(kind).keys() - classes.keys():
        try:
            classes[name] = spec.found(kind, tables[what], name)
        except UsageError as error:
            tell(f"left out: {error}")
    entries = [_entry(name, cls) for name, cls in classes.items()]
    if what == "strategies":
        entries = [{**one, **_said(cls)} for one, cls in zip(entries, classes.values(), strict=True)]
    price = price_at(base_url, usd_per_mtok_in, usd_per_mtok_out)
    served = _served(model, config, base_url, api_key_env, price) if what == "models" else []
    down: dict[str, str] = {}
    if probe:
        down = {one.name: why for one in served if (why := asyncio.run(_probe(one)))}
    entries += [_served_entry(one, down.get(one.name)) for one in served]
    entries += _files() if what == "models" else []
    boxes = _boxes() if what == "verifiers" else []
    if as_json:
        print_json({what: entries} | ({"sandboxes": boxes} if boxes else {}))
        _refuse_down(down)
        return
    for entry in entries:
        options = ", ".join(f"{name}={default}" for name, default in entry["options"].items())
        _print_entry(entry["name"], entry["about"], options, _in_words(entry) if what == "strategies" else "")
    for box in boxes:
        state = "works" if box["works"] else f"does not work: {box['why']}"
        say(f"sandbox {box['name']} (level {box['level']}) {state}")
    _refuse_down(down)


def _print_entry(name: str, about: str, *below: str) -> None:
    """One entry: its name and what it is, and lines below them. Importing rich takes longer than the rest of a list."""
    typer.echo(f"{typer.style(shown(name), bold=True)}  {shown(about)}")
    for line in filter(None, below):
        typer.secho(f"    {shown(line)}", dim=True)


def _refuse_down(down: dict[str, str]) -> None:
    """Raises `ModelError` if a server could not be probed, once what was found of the others is printed."""
    if down:
        raise ModelError(f"not probed: {', '.join(down)}; {next(iter(down.values()))}")


def _print_formats(as_json: bool) -> None:
    """Prints which logs of other tools mull reads, and which fields it uses."""
    from mull.files.logs.formats import FORMATS

    if as_json:
        print_json({"formats": [{"tool": f.tool, "files": f.files, "taken": f.taken} for f in FORMATS]})
        return
    for one in FORMATS:
        _print_entry(one.tool, one.files, one.taken)


def _boxes() -> list[dict[str, Any]]:
    """The sandboxes that verifiers can run programs in, and which of them work on this machine."""
    import asyncio

    from mull import sandbox

    return [
        {"name": box.name, "level": box.level.name.lower(), "works": box.works, "why": box.why}
        for box in asyncio.run(sandbox.available())
    ]


def _served(
    names: list[str] | None, config: Path | None, base_url: str | None, api_key_env: str | None, price: Price | None
) -> list[OpenAIModel | Gguf]:
    """The served models that the options select."""
    if base_url is None and names is None:
        from mull.config import settings

        names = list(settings.read(config).models)
    wanted = [DEFAULT_MODEL] if names is None else names  # at a URL, where it stands for the only one there
    built = [model_of(name, 0, config, base_url, api_key_env, price=price) for name in wanted]
    return [one for one in built if is_served(one)]


async def _probe(model: OpenAIModel | Gguf) -> str | None:
    """Finds out anew what a model's server can do; why it could not, or `None`."""
    from mull.models.served.known import forget

    try:
        if (deployment := getattr(model, "deployment", None)) is not None:
            forget(deployment)
        await model.prepare()
    except (ModelError, UsageError) as error:
        return str(error)
    return None


def _files() -> list[dict[str, Any]]:
    """The model files on this machine, as specs."""
    from mull.models.files import on_this_machine
    from mull.models.gguf import Gguf

    entries: list[dict[str, Any]] = []
    for name, path in sorted(on_this_machine().items()):
        try:
            entries.append({"name": f"gguf:{name}", "about": Gguf(str(path)).about, "options": {}})
        except FileFormatError as error:
            tell(f"left out: {error}")
    return entries


def _served_entry(model: OpenAIModel | Gguf, down: str | None) -> dict[str, Any]:
    can = None if down else model.capabilities
    entry: dict[str, Any] = {"name": model.name, "about": model.about}
    if down:
        return {**entry, "options": {"not reached": down}, "probe": None}
    if can is None:
        return {**entry, "options": {"not probed yet": "mull list models --probe"}, "probe": None}
    told = {
        "server": f"{can.backend} {can.version}".strip(),
        "n": can.n,
        "seed": can.seed,
        "varies": can.varies,
        "logprobs": can.logprobs,
        "stop": can.stop,
        "stream": can.stream,
        "biases": can.biases,
        "thinking budget": can.limits or (f"ignored: {', '.join(can.ignores)}" if can.ignores else None),
        "continues": can.continues or (f"no: {can.why}" if can.why else None),
        "slots": can.slots,
    }
    found = {**asdict(can), "continues": can.continues, "template": can.template is not None}
    cost = f"{can.cost.calls} calls, {can.cost.tokens if can.cost.tokens is not None else '?'} tokens"
    return {**entry, "options": {**told, "probe cost": cost}, "probe": found}


def _entry(name: str, cls: Any) -> dict[str, Any]:
    about = (cls.__doc__ or "").strip().splitlines()[0]
    options = {f.name: "(required)" if f.default is MISSING else f.default for f in fields(cls) if f.init}
    return {"name": name, "about": about, "options": options}


def _said(cls: Any) -> dict[str, Any]:
    """A strategy's description of itself with default options; `null` where it depends on its inner strategies."""
    is_whole = all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls) if f.init)
    one = cls() if is_whole else cls
    needs = None if isinstance(getattr(one, "needs", None), property) else sorted(needs_of(one))
    return {"needs": needs, "draws": draws_of(one), "selects": selects_of(one)}


def _in_words(said: dict[str, Any]) -> str:
    needs, draws, selects = said["needs"], said["draws"], said["selects"]
    parts = [
        "" if draws is None else f"draws: {draws}",
        "" if selects is None else f"selects by: {selects}",
        "needs: as its inner strategies" if needs is None else f"needs: {', '.join(needs) or 'nothing'}",
    ]
    return "; ".join(filter(None, parts))


def _ready(what: str, table: dict[str, str], config: Path | None) -> list[str]:
    """Names that `--check` can test without options: those with a problem of their own, and those in `mull.toml`."""
    from mull.config import settings

    known = settings.read(config)
    classes = {name: spec.load(path) for name, path in table.items()}
    named = known.judges if what == "judges" else known.verifiers if what == "verifiers" else ()
    return [*(name for name, cls in classes.items() if hasattr(cls, "contract")), *named]


def _check(what: str, only: object, specs: list[str], seed: int, config: Path | None, as_json: bool) -> None:
    """Has verifiers or judges score a right and a wrong solution; raises an error if one ranks them wrongly.

    Without any named by `only`, those that this machine cannot run are told of and not refused.
    """
    import asyncio

    if what not in ("verifiers", "judges"):
        raise UsageError(f"--check is for verifiers and judges, not for {what}")
    from mull.verifiers import contract

    async def go() -> list[contract.Finding]:
        if what == "judges":
            return [await contract.check_judge(judge_of(text, seed, config)) for text in specs]
        return [await contract.check(verifier_of(text, seed, config)) for text in specs]

    findings = asyncio.run(go())
    if as_json:
        print_json({what: [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            verdict = {True: "right", False: "WRONG", None: "cannot tell"}[finding.is_right]
            if not finding.can_run:
                say(f"{finding.name}: cannot run here" + _because(finding.why))
                continue
            good, bad = (_number(value) for value in (finding.good, finding.bad))
            say(f"{finding.name}: {verdict} (right solution {good}, wrong one {bad})" + _because(finding.why))
    refused = [one for one in findings if not one.is_right and (one.can_run or only)]
    if refused:
        raise VerifierError(f"{refused[0].name} must not be used as it is: {refused[0].why}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _because(why: str) -> str:
    return f": {why}" if why else ""
