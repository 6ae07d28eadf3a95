"""HELM's `scenario_state.json`, with the `per_instance_stats.json` in the same folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample
from mull.types import Message

TOOL = "HELM"
VERDICTS = (
    "math_equiv_chain_of_thought",
    "math_equiv",
    "chain_of_thought_correctness",
    "final_number_exact_match",
    "ifeval_strict_accuracy",
    "quasi_exact_match",
    "exact_match",
)
"""Metrics that grade the first completion; of several in a run, the first in this order is used."""
GENERATES = "generation"


def read(path: Path, content: Any) -> Log:
    """HELM's scenario state: an instance's completions are its draws.

    A single completion is graded by the run's own metric if `per_instance_stats.json` is in the same folder; several
    are each compared with the references tagged as correct. Raises `FileFormatError` for a run that was not executed.
    """
    spec = base.mapping(content["adapter_spec"])
    stats = _stats(path.with_name("per_instance_stats.json"))
    settings = base.settings_of(spec)
    model, task = str(spec.get("model") or "unknown model"), path.parent.name
    problems: dict[str, LoggedProblem] = {}
    metric: str | None = None
    n_failed = n_partial = n_perturbed = n_trials = n_own = 0
    for place, state in enumerate(base.items(content["request_states"])):
        state = base.mapping(state)
        instance, request = base.mapping(state.get("instance")), base.mapping(state.get("request"))
        id, trial = str(instance.get("id") or f"instance {place}"), base.whole(state.get("train_trial_index")) or 0
        if state.get("reference_index") is not None or state.get("request_mode") == "calibration":
            raise base.half(path, None, TOOL, f"{id} asks for the likelihood of a reference: no replies were sampled")
        if instance.get("perturbation"):
            n_perturbed += 1
            continue
        if trial > 0:
            n_trials += 1
            continue
        if "result" not in state:
            raise base.half(path, None, TOOL, f"{id} has no `result`: the run was not executed")
        result = base.mapping(state["result"])
        completions = [base.mapping(one) for one in base.items(result.get("completions"))]
        problem = problems.get(id)
        if problem is None:
            golds = _golds(instance, base.mapping(state.get("output_mapping")))
            asked = base.messages_of(request.get("messages")) or (Message("user", str(request.get("prompt", ""))),)
            text = str(base.mapping(instance.get("input")).get("text", ""))
            problem = LoggedProblem(
                id, text, golds[0] if golds else None, model, task, messages=asked, settings=settings
            )
            problems[id] = problem
        if not result.get("success", True) or not completions:
            n_failed += 1
            continue
        golds = _golds(instance, base.mapping(state.get("output_mapping")))
        values = stats.get((id, trial), {})
        metric = metric or next((name for name in VERDICTS if name in values), None)
        mean = values.get(metric) if metric is not None else None
        value = mean if len(completions) == 1 else None
        if value is None and mean is not None and (mean >= 1) != (str(completions[0].get("text", "")).strip() in golds):
            what = f"{id}: {metric} grades only the first of several completions, not by comparison with references"
            raise base.half(path, None, TOOL, what)
        for one in completions:
            text = str(one.get("text", ""))
            n_own += value is not None
            n_partial += value is not None and 0 < value < 1
            is_right = text.strip() in golds if value is None else value >= 1
            read = None if value is not None else text.strip()
            answer = base.met(problem.gold, read) if is_right else read
            tokens = len(base.items(one.get("tokens"))) or None
            finish = base.FINISHES.get(str(base.mapping(one.get("finish_reason")).get("reason")))
            problem.samples.append(RecordedSample(text, answer, is_right, None, tokens, None, finish))
    notes = [f"graded by the run's own {metric}"] if n_own else []
    if n := sum(len(problem.samples) for problem in problems.values()) - n_own:
        notes.append(
            f"the run has no verdict for each of {n} completions: they were compared with the correct references"
        )
    notes += base.verdict_note(n_partial, str(metric))
    left_out = (
        (n_failed, "requests failed"),
        (n_perturbed, "requests have perturbed input"),
        (n_trials, "requests have other examples in their prompts (trials after the first)"),
    )
    notes += [f"{n} {what} and are left out" for n, what in left_out if n]
    return base.log_of(path, TOOL, problems.values(), notes)


def _golds(instance: Mapping[str, Any], letters: Mapping[str, Any]) -> list[str]:
    """The correct references in the form of completions: their letters if the question is multiple choice."""
    found = []
    for reference in map(base.mapping, base.items(instance.get("references"))):
        if "correct" in base.items(reference.get("tags")):
            text = str(base.mapping(reference.get("output")).get("text", "")).strip()
            found.append(next((letter for letter, said in letters.items() if str(said).strip() == text), text))
    return found


def _stats(path: Path) -> dict[tuple[str, int], dict[str, float]]:
    """The mean of each metric of the unperturbed instances, by instance and trial."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for one in base.items(base.loaded(path)) if path.is_file() else []:
        row = base.mapping(one)
        if row.get("perturbation"):
            continue
        key = str(row.get("instance_id")), base.whole(row.get("train_trial_index")) or 0
        for stat in map(base.mapping, base.items(row.get("stats"))):
            name, mean = base.mapping(stat.get("name")), base.number(stat.get("mean"))
            if mean is not None and not name.get("perturbation"):
                found.setdefault(key, {})[str(name.get("name"))] = mean
    return found
