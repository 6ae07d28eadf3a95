"""The foreign logs under `tests/data/`, made by the tools themselves: `python recipes/foreign_logs.py [FOLDER]`.

Needs `pip install inspect_ai lm_eval`. Three sums and five draws of each, from a model that is no model: replies are a
fixed list, right about half the time. One question and one reply hold HTML, for whoever shows them.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUMS = [("2+2?", "4"), ("2+3?", "5"), ("</script><b>1+3?", "4")]
N_DRAWS = 5


def replies(asked: str) -> Iterator[str]:
    """Of one question: right, wrong, right, without an answer, wrong in another way, and again from the start."""
    gold = int(dict(SUMS)[asked])
    while True:
        yield f"I count.\nANSWER: {gold}"
        yield f"I guess.\nANSWER: {gold + 1}"
        yield f"<img src=x onerror=alert(1)>\nANSWER: {gold}"
        yield "I do not know"
        yield f"\u2028I guess.\nANSWER: {gold + 2}"


def inspect_logs(folder: Path) -> None:
    """One `.eval` and one `.json` log of the same evaluation."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    for kind in ("eval", "json"):
        streams = {question: replies(question) for question, _ in SUMS}

        def reply(messages: list[Any], *_: Any, streams: dict[str, Iterator[str]] = streams) -> ModelOutput:
            text = next(streams[messages[-1].content])
            output = ModelOutput.from_content("mockllm/model", text)
            # Told, so that no tokeniser has to be fetched to count them.
            output.usage = ModelUsage(input_tokens=8, output_tokens=len(text), total_tokens=8 + len(text))
            return output

        samples = [Sample(id=f"sum/{i}", input=asked, target=gold) for i, (asked, gold) in enumerate(SUMS)]
        task = Task(dataset=samples, solver=generate(), scorer=match(), name="sums")
        # A log tells the repository that the process stands in: here there is none.
        with tempfile.TemporaryDirectory() as logs, contextlib.chdir(logs):
            model = get_model("mockllm/model", custom_outputs=reply)
            eval(task, model=model, epochs=N_DRAWS, log_dir=logs, log_format=kind, display="none", max_samples=1)
            (log,) = Path(logs).glob(f"*.{kind}")
            (folder / f"inspect.{kind}").write_bytes(log.read_bytes())


def harness_logs(folder: Path) -> None:
    """Samples and results with five repeats, and of a task that draws once and one that draws nothing."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.models.dummy import DummyLM
    from lm_eval.tasks import TaskManager

    class Fixed(DummyLM):  # type: ignore[misc]
        """The dummy model, with replies of our own."""

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            streams = {question: replies(question) for question, _ in SUMS}
            return [next(streams[request.arguments[0]]) for request in requests]

    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "sums.jsonl"
        data.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in SUMS))
        shared = {
            "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test",
            "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}",
        }  # fmt: skip
        drawn = {
            **shared,
            "output_type": "generate_until",
            "generation_kwargs": {"do_sample": True, "temperature": 1.0},
        }
        read = {"function": "regex", "regex_pattern": "ANSWER: (\\d+)"}
        every = [{"name": "read", "filter": [read, {"function": "take_first_k", "k": N_DRAWS}]}]
        first = [
            {"name": "read", "filter": [read, {"function": "take_first"}]},
            {"name": "raw", "filter": [{"function": "take_first"}]},
        ]
        tasks: list[dict[str, Any]] = [
            {"task": "sums", **drawn, "repeats": N_DRAWS, "filter_list": every},
            {"task": "sums_once", **drawn, "filter_list": first},
            {
                "task": "sums_choice",
                **shared,
                "output_type": "multiple_choice",
                "doc_to_choice": ["4", "5"],
                "doc_to_target": 0,
            },
        ]
        results = simple_evaluate(Fixed(), tasks=tasks, log_samples=True, task_manager=TaskManager())
        samples = results.pop("samples")
        results["config"]["model"] = "dummy"
        tracker = EvaluationTracker(output_path=f"{scratch}/out")
        tracker.save_results_aggregated(results=results, samples=samples)
        for name, rows in samples.items():
            tracker.save_results_samples(task_name=name, samples=rows)
        for path in Path(scratch, "out").rglob("*.json*"):
            # The logs tell where the questions were read from, which is nobody's business and differs each time.
            (folder / path.name).write_text(path.read_text().replace(scratch, "data"))


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "tests" / "data")
    folder.mkdir(parents=True, exist_ok=True)
    inspect_logs(folder)
    harness_logs(folder)


if __name__ == "__main__":
    main()
