"""`mull train combine`, `calibrate` and `confidence`: combine verifiers, calibrate one, or the votes of a preset."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mull.catalog import verifier_of
from mull.cli.options import BankOption, ConfigOption, JsonOption, SeedOption, bank_at, task_of
from mull.cli.output import print_json, say
from mull.cli.source import GroupOption, TaskOption, draws_of, source_at
from mull.errors import ModelError, UsageError
from mull.files.output import check_writable, write_text
from mull.types import Params

if TYPE_CHECKING:
    from mull.files.recording import Recording

SourceArgument = Annotated[Path, typer.Argument(help="Draws with texts: a sweep's --out, recorded samples, a log.")]
OutOption = Annotated[Path, typer.Option("--out", help="The file to write (JSON).")]


def combine(
    source: SourceArgument,
    verifier: Annotated[list[str], typer.Option("--verifier", help="A verifier to combine; give at least three.")],
    out: OutOption,
    prior: Annotated[
        float | None, typer.Option("--prior", help="The share of right draws, if known. [default: estimated]")
    ] = None,
    group: GroupOption = None,
    task: TaskOption = None,
    config: ConfigOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn how often each of several verifiers is right from how they agree, without any labels.

    Example: mull train combine draws.jsonl --verifier nano-orm --verifier nano-prm --verifier A --out m.json
    """
    import numpy as np

    from mull.verifiers.combine import fit_label_model
    from mull.verifiers.fitted import text_of

    if prior is not None and not 0 < prior < 1:
        raise UsageError(f"--prior is a share between 0 and 1, not {prior:g}")
    check_writable(out)
    built = [verifier_of(text, seed, config) for text in verifier]
    recordings = _draws(source, group, task, seed)
    columns = [_scores(recordings, one) for one in built]
    model = fit_label_model(np.array(columns).T, prior)
    write_text(out, text_of("combined", built, model))
    spec = f"combined:of=({','.join(f'({text})' for text in verifier)}),file={out}"
    if as_json:
        print_json(
            {
                "out": str(out),
                "spec": spec,
                "draws": len(columns[0]),
                "prior": model.prior,
                "hits": model.hits,
                "false_alarms": model.false_alarms,
                "weights": model.weights,
            }
        )
        return
    for text, hits, alarms, weight in zip(verifier, model.hits, model.false_alarms, model.weights, strict=True):
        say(f"{text}: accepts {hits:.0%} of right draws and {alarms:.0%} of wrong ones; weight {weight:.2f}")
    say(spec)


def calibrate(
    source: SourceArgument,
    verifier: Annotated[str, typer.Option("--verifier", help="The verifier to calibrate.")],
    out: OutOption,
    group: GroupOption = None,
    task: TaskOption = None,
    config: ConfigOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Calibrate a verifier: map its scores to probabilities by isotonic regression on draws with verdicts.

    Example: mull train calibrate draws.jsonl --verifier nano-orm --out curve.json
    """
    from mull.verifiers.combine import isotonic
    from mull.verifiers.fitted import text_of

    check_writable(out)
    built = verifier_of(verifier, seed, config)
    recordings = _draws(source, group, task, seed)
    right = [c for one in recordings for c in one.correct]
    pairs = [(s, c) for s, c in zip(_scores(recordings, built), right, strict=True) if not math.isnan(s)]
    curve = isotonic([s for s, _ in pairs], [c for _, c in pairs])
    write_text(out, text_of("calibrated", [built], curve))
    spec = f"calibrated:of=({verifier}),file={out}"
    if as_json:
        print_json({"out": str(out), "spec": spec, "draws": len(pairs), "steps": len(curve.starts)})
        return
    say(f"a curve of {len(curve.starts)} steps from {len(pairs):,} draws in {out}")
    say(spec)


def confidence(
    task: Annotated[str, typer.Argument(help="Questions with known answers: a task, or a file such as q.jsonl.")],
    preset: Annotated[str, typer.Option("--preset", help="The preset, as clients name it: MODEL@PRESET.")],
    out: OutOption,
    problems: Annotated[int, typer.Option("--problems", "-p", help="How many questions.")] = 200,
    bank: BankOption = None,
    config: ConfigOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Calibrate a preset of the gateway: how often is it right at such a confidence? Answers each question once.

    Example: mull train confidence questions.jsonl --preset qwen@vote --out curve.json
    """
    import asyncio

    from mull.lab.grid import how_many
    from mull.serve.confidence import MadeFor, brier, fit
    from mull.serve.faults import ApiError
    from mull.serve.fields import ChatFields
    from mull.serve.labelled import answered
    from mull.serve.offer import USUAL, Offer
    from mull.serve.plans import plan_of

    check_writable(out)
    the_task, offer = task_of(task), Offer((), config)
    try:
        plan = plan_of(offer, ChatFields(model=preset, messages=[{"role": "user", "content": "?"}]))
    except ApiError as error:
        raise UsageError(error.message) from error
    if plan.entry.preset is None:
        raise UsageError(f"{preset} is a model: name a preset, as in MODEL@PRESET")
    model, _, name = preset.rpartition("@")
    table = (offer.config.presets or USUAL)[name]
    asked = list(itertools.islice(the_task.problems(), how_many(the_task, problems)))
    try:
        with bank_at(bank) as opened:
            rows = asyncio.run(answered(plan, the_task, asked, seed=seed, bank=opened))
    except ApiError as error:
        raise ModelError(error.message) from error
    curve = fit(MadeFor.of(model, table), rows)
    write_text(out, curve.text)
    rows = [row for row in rows if row.chosen_by == curve.chosen_by]
    raw, calibrated = brier(rows)
    share = sum(row.is_right for row in rows) / curve.n
    if as_json:
        told = {"out": str(out), "questions": len(asked), "answers": curve.n, "chosen_by": curve.chosen_by}
        print_json({**told, "right": share, "steps": len(curve.starts), "brier": raw, "brier_calibrated": calibrated})
        return
    say(f"{curve.n} of {len(asked)} answers with a confidence, chosen by {curve.chosen_by}: {share:.0%} are right")
    say(f"mean squared error of the confidence: {raw:.3f}, calibrated on the other half {calibrated:.3f}")
    say(f"a curve of {len(curve.starts)} steps; for the preset in mull.toml:")
    say(f"calibration = {json.dumps(str(out))}")


def _draws(source: Path, group: list[str] | None, task: str | None, seed: int) -> list[Recording]:
    """The draws of the selected groups."""
    found = draws_of(source_at(source, task, "nano", 1000, Params(1.0, 400), seed), group)
    return [one for drawn in found.values() for one in drawn.recordings]


def _scores(recordings: list[Recording], verifier: object) -> list[float]:
    """A verifier's scores of all draws, as a flat array; NaN for a draw without a score."""
    import asyncio

    from mull.lab import verify

    scored, _ = asyncio.run(verify.scored(recordings, verifier))  # type: ignore[arg-type]
    return [math.nan if score is None else score for one in scored for score in one.scores]
