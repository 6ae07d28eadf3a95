"""Logs of other tools under `tests/data/logs`, made by the tools: `python recipes/foreign_logs.py PART [FOLDER]`.

Each part needs its own tool in the environment, in the release that stands beside it in `PARTS`. Three sums and five
draws of each, from a model that is no model: replies are a fixed list, right about half the time. One question and one
reply hold HTML, for whoever shows them. The other tools are in `foreign_rollouts.py` and `foreign_batches.py`, and
promptfoo in `tests/data/logs/promptfoo/recipe`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from foreign import make

SUMS = [("2+2?", "4"), ("2+3?", "5"), ("</script><b>1+3?", "4")]
N_DRAWS = 5
CAPITALS = [("Capital of France?", "Paris"), ("Capital of Peru?", "Lima")]


def replies(asked: str) -> Iterator[str]:
    """Of one question: right, wrong, right, without an answer, wrong in another way, and again from the start."""
    gold = int(dict(SUMS)[asked])
    while True:
        yield f"I count.\nANSWER: {gold}"
        yield f"I guess.\nANSWER: {gold + 1}"
        yield f"<img src=x onerror=alert(1)>\nANSWER: {gold}"
        yield "I do not know"
        yield f"\u2028I guess.\nANSWER: {gold + 2}"


def names(asked: str) -> Iterator[str]:
    """Of one question: right three times, in two cases and in a sentence, and wrong once."""
    gold = dict(CAPITALS)[asked]
    while True:
        yield f"ANSWER: {gold}"
        yield f"ANSWER: {gold.upper()}"
        yield "ANSWER: Berlin"
        yield f"Surely {gold.lower()}.\nANSWER: {gold.lower()}"


def inspect_log(target: Path, questions: list[tuple[str, str]], of: Callable[[str], Iterator[str]], **how: Any) -> None:
    """One log of inspect_ai, in the format that the name of the file says."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model
    from inspect_ai.solver import generate, system_message

    epochs, scorer = how["epochs"], how["scorer"]
    streams = {question: of(question) for question, _ in questions}

    def outputs() -> Iterator[Any]:
        for _ in range(epochs):
            for question, _gold in questions:
                text = next(streams[question])
                output = ModelOutput.from_content("mockllm/model", text)
                # Told, so that no tokeniser has to be fetched to count them.
                output.usage = ModelUsage(input_tokens=8, output_tokens=len(text), total_tokens=8 + len(text))
                yield output

    samples = [Sample(id=f"{how['name']}/{i}", input=q, target=gold) for i, (q, gold) in enumerate(questions)]
    solver = [system_message("Be brief."), generate()] if how.get("told") else [generate()]
    config = GenerateConfig(temperature=0.7, max_tokens=99) if how.get("told") else GenerateConfig()
    task = Task(dataset=samples, solver=solver, scorer=scorer, name=how["name"], config=config)
    kind = target.suffix[1:]
    os.environ["INSPECT_EVAL_LOG_FORMAT"] = os.environ["INSPECT_LOG_FORMAT"] = kind
    # A log tells the repository that the process stands in: here there is none.
    with tempfile.TemporaryDirectory() as logs, contextlib.chdir(logs):
        model = get_model("mockllm/model", custom_outputs=outputs())
        more = {"fail_on_error": False} if how.get("fails") else {}
        eval(task, model=model, epochs=epochs, log_dir=logs, log_format=kind, max_samples=1, max_connections=1, **more)
        (log,) = Path(logs).glob(f"*.{kind}")
        target.write_bytes(log.read_bytes())


def inspect_logs(folder: Path) -> None:
    """The same evaluation as `.eval` and `.json`, and one log for each kind of score."""
    from inspect_ai.scorer import Score, accuracy, includes, match, mean, pattern, scorer

    for kind in ("eval", "json"):
        inspect_log(folder / f"inspect.{kind}", SUMS, replies, epochs=N_DRAWS, scorer=match(), name="sums")

    @scorer(metrics=[accuracy()])  # type: ignore[untyped-decorator]
    def credit() -> Any:
        async def score(state: Any, target: Any) -> Any:
            kinds = iter(("C", "P", float("nan"), 0.0))
            values = dict(zip(("Paris", "PARIS", "Berlin", "paris"), kinds, strict=True))
            said = state.output.completion.rpartition(" ")[2]
            if said == "lima":
                raise ValueError("no grader for this one")
            value = values.get(said, 1.0 if said == target.text else 0.25)
            return Score(value=value, answer=said)

        return score

    @scorer(metrics={"correct": [mean()], "brief": [mean()]})  # type: ignore[untyped-decorator]
    def both() -> Any:
        async def score(state: Any, target: Any) -> Any:
            said = state.output.completion.rpartition(" ")[2]
            right = said.casefold() == target.text.casefold()
            return Score(value={"brief": 1, "correct": int(right)}, answer=said)

        return score

    for name, how in {
        "pattern": {"scorer": pattern(r"ANSWER: (\w+)")},
        "includes": {"scorer": [includes(), match()], "told": True},
        "credit": {"scorer": credit(), "fails": True},
        "values": {"scorer": both()},
    }.items():
        inspect_log(folder / f"inspect_{name}.eval", CAPITALS, names, epochs=4, name="capitals", **how)


def old_inspect_logs(folder: Path) -> None:
    """What older releases wrote: no `completion`, and 0.3.41 has no `.eval` and names scorers in the results only."""
    from inspect_ai import __version__
    from inspect_ai.scorer import includes, match

    target = folder / f"inspect_{__version__}.{'json' if __version__ == '0.3.41' else 'eval'}"
    inspect_log(target, CAPITALS, names, epochs=4, scorer=[match(), includes()], name="capitals", told=True)


class Replies:
    """A model for the harness, whose replies are a fixed list."""

    def __init__(self, of: Callable[[str], Iterator[str]], questions: list[tuple[str, str]]) -> None:
        from lm_eval.models.dummy import DummyLM

        class Fixed(DummyLM):  # type: ignore[misc]
            def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
                streams = {question: of(question) for question, _ in questions}
                asked = [next(q for q in streams if q in str(request.arguments[0])) for request in requests]
                return [next(streams[question]) for question in asked]

            tokenizer_name = "fixed"

            def chat_template(self, chat_template: bool | str = False) -> str:
                return "fixed"

            def apply_chat_template(self, history: list[dict[str, str]], add_generation_prompt: bool = True) -> Any:
                from lm_eval.models.api_models import JsonChatStr

                return JsonChatStr(json.dumps(history, ensure_ascii=False))

        self.model = Fixed()


def harness_log(
    folder: Path, tasks: list[dict[str, Any]], questions: list[tuple[str, str]], of: Callable[..., Any], **how: Any
) -> None:
    """Samples and results of tasks over these questions."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "questions.jsonl"
        data.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in questions))
        shared = {
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{answer}}",
            "output_type": "generate_until",
            "generation_kwargs": {"do_sample": True, "temperature": 1.0},
        }
        whole: list[Any] = [{**shared, **task} for task in tasks]
        if how.pop("in_files", False):
            for task in whole:
                (Path(scratch) / f"{task['task']}.yaml").write_text(json.dumps(task))
            whole = [task["task"] for task in whole]
        model = Replies(of, questions).model
        results = simple_evaluate(
            model, tasks=whole, log_samples=True, task_manager=TaskManager(include_path=scratch), **how
        )
        samples = results.pop("samples")
        results["config"]["model"] = "dummy"
        tracker = EvaluationTracker(output_path=f"{scratch}/out")
        about = tracker.general_config_tracker
        about.model_name = about.model_name_sanitized = "dummy"
        tracker.save_results_aggregated(results=results, samples=samples)
        for name, rows in samples.items():
            tracker.save_results_samples(task_name=name, samples=rows)
        for path in Path(scratch, "out").rglob("*.json*"):
            # The logs tell where the questions were read from and of the machine, which is nobody's business.
            text = path.read_text().replace(scratch, "data")
            text = re.sub(r'("pretty_env_info": )"[^"]*"', r'\1""', text)
            (folder / path.name).write_text(text)


READ = {"function": "regex", "regex_pattern": "ANSWER: (\\w+)"}
EVERY = [{"name": "read", "filter": [READ, {"function": "take_first_k", "k": N_DRAWS}]}]
ALL_FOUR = [{"name": "read", "filter": [READ, {"function": "take_first_k", "k": 4}]}]
FIRST = [
    {"name": "read", "filter": [READ, {"function": "take_first"}]},
    {"name": "raw", "filter": [{"function": "take_first"}]},
]


def wer(references: list[str], predictions: list[str]) -> float:
    """The share of words that are wrong, for answers of one word."""
    return float(references[0].split() != predictions[0].split())


def slips(asked: str) -> Iterator[str]:
    """Right for one question and wrong for the other."""
    while True:
        yield "ANSWER: Paris"


def harness_logs(folder: Path) -> None:
    """Samples and results with five repeats, of a task that draws once, one that draws nothing, and a chat."""
    choice = {"output_type": "multiple_choice", "doc_to_choice": ["4", "5"], "doc_to_target": 0}
    choice["generation_kwargs"] = None
    tasks: list[dict[str, Any]] = [
        {"task": "sums", "repeats": N_DRAWS, "filter_list": EVERY},
        {"task": "sums_once", "filter_list": FIRST},
        {"task": "sums_choice", **choice},
    ]
    harness_log(folder, tasks, SUMS, replies)
    exact = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
    words = {"metric": wer, "aggregation": "mean", "higher_is_better": False}
    folded = [exact | {"ignore_case": True, "ignore_punctuation": True}]
    told = {"generation_kwargs": {"temperature": 0.7, "max_gen_toks": 99, "until": ["\n\n"]}}
    harness_log(
        folder,
        [
            {"task": "capitals_repeats", "repeats": 4, "metric_list": folded, "filter_list": ALL_FOUR, **told},
            {"task": "capitals_folded", "metric_list": folded, "filter_list": FIRST[:1], **told},
        ],
        [(question, gold + "!") for question, gold in CAPITALS],
        names,
        apply_chat_template=True,
        system_instruction="Be brief.",
    )
    harness_log(
        folder, [{"task": "capitals_errors", "metric_list": [words], "filter_list": FIRST[:1]}], CAPITALS, slips
    )


def old_harness_logs(folder: Path) -> None:
    """What releases before 0.4.7 wrote: rows that do not say their filter or their metrics."""
    harness_log(folder, [{"task": "old_sums", "filter_list": FIRST}], SUMS, replies, in_files=True)


PARTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "inspect": ("inspect_ai==0.3.285", inspect_logs),
    "inspect-old": ("inspect_ai==0.3.41 and ==0.3.120", old_inspect_logs),
    "harness": ("lm_eval==0.4.13", harness_logs),
    "harness-old": ("lm_eval==0.4.5", old_harness_logs),
}


if __name__ == "__main__":
    make(PARTS, apart=False)
