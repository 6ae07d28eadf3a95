"""Logs of tools that train or serve, under `tests/data/logs`: `python recipes/foreign_rollouts.py PART [FOLDER]`.

Each part needs its own tool in the environment, in the release that stands beside it in `PARTS`. Where a tool asks a
server, the server here gives the fixed replies of `foreign_logs.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from foreign import make
from foreign_logs import N_DRAWS, SUMS, replies


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The base URL of a server of the OpenAI API whose replies to each sum come one after the other."""
    streams = {question: replies(question) for question, _ in SUMS}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = next(q for q in streams if q in asked["messages"][-1]["content"])
            with lock:
                texts = [next(streams[question]) for _ in range(asked.get("n") or 1)]
            choices = [
                {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                for i, text in enumerate(texts)
            ]
            n_tokens = sum(map(len, texts))
            usage = {"prompt_tokens": 8, "completion_tokens": n_tokens, "total_tokens": 8 + n_tokens}
            body = json.dumps(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": asked["model"],
                    "choices": choices,
                    "usage": usage,
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{serving.server_address[1]}/v1"
    finally:
        serving.shutdown()


def old_verifiers_logs(folder: Path) -> None:
    """`results.jsonl` and `metadata.json` of an environment of one turn."""
    from datasets import Dataset

    import verifiers as vf

    async def right(completion: Any, answer: str) -> float:
        return float(completion[-1]["content"].endswith(f"ANSWER: {answer}"))

    async def brief(completion: Any) -> float:
        return float(len(completion[-1]["content"]) < 20)

    data = Dataset.from_list([{"question": question, "answer": gold} for question, gold in SUMS])
    rubric = vf.Rubric(funcs=[right, brief], weights=[1.0, 0.0])
    env = vf.SingleTurnEnv(eval_dataset=data, system_prompt="Be brief.", rubric=rubric)
    with server() as url, tempfile.TemporaryDirectory() as scratch:
        client = vf.ClientConfig(api_base_url=url, api_key_var="NO_KEY")
        how = {"temperature": 0.7, "max_tokens": 99}
        made = env.evaluate(
            client,
            "fixed",
            how,
            num_examples=-1,
            rollouts_per_example=N_DRAWS,
            max_concurrent=1,
            results_path=Path(scratch),
            save_results=True,
        )
        asyncio.run(made)
        for name in ("results.jsonl", "metadata.json"):
            text = (Path(scratch) / name).read_text()
            (folder / name).write_text(text.replace(url, "http://127.0.0.1/v1").replace(scratch, "data"))


def trl_logs(folder: Path) -> None:
    """What GRPO logs of one step: four completions of two prompts, by a tiny model with random weights."""
    from datasets import Dataset
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed
    from trl import GRPOConfig, GRPOTrainer

    set_seed(1)
    words = ["<pad>", "<eos>", "4", "5", "6", "+", "2", "3", "?"]
    tokens = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    tokens.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<pad>", eos_token="<eos>")
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    )

    def right(completions: list[str], answer: list[str], **_: Any) -> list[float]:
        return [float(said.strip() == gold) for said, gold in zip(completions, answer, strict=True)]

    def brief(completions: list[str], **_: Any) -> list[float]:
        return [1.0 for _ in completions]

    data = Dataset.from_list([{"prompt": question, "answer": gold} for question, gold in SUMS[:2]])
    with tempfile.TemporaryDirectory() as scratch:
        how = GRPOConfig(
            output_dir=scratch,
            num_generations=4,
            per_device_train_batch_size=8,
            max_completion_length=1,
            max_steps=1,
            log_completions=True,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            bf16=False,
            temperature=1.0,
            reward_weights=[1.0, 0.0],
            save_strategy="no",
        )
        funcs = [right, brief]
        GRPOTrainer(Qwen2ForCausalLM(config), funcs, how, data, processing_class=tokenizer).train()
        for path in Path(scratch, "completions").glob("*.parquet"):
            shutil.copy(path, folder)


def lighteval_logs(folder: Path) -> None:
    """Details and results as `EvaluationTracker` saves them, of five replies to each question."""
    from lighteval.logging.evaluation_tracker import EvaluationTracker
    from lighteval.models.dummy.dummy_model import DummyModelConfig
    from lighteval.models.model_output import ModelResponse
    from lighteval.tasks.requests import Doc

    with tempfile.TemporaryDirectory() as scratch:
        tracker = EvaluationTracker(output_dir=scratch, save_details=True)
        config = DummyModelConfig(model_name="fixed")
        tracker.general_config_logger.log_model_info(model_config=config)
        task = "custom|sums|0"
        for number, (question, gold) in enumerate(SUMS):
            stream = replies(question)
            texts = [next(stream) for _ in range(N_DRAWS)]
            right = [text.endswith(f"ANSWER: {gold}") for text in texts]
            metrics = {"pass@k:k=1&n=5": sum(right) / N_DRAWS, "avg@n:n=5": sum(right) / N_DRAWS}
            doc = Doc(query=question, choices=[gold], gold_index=0, id=str(number), task_name=task)
            tokens = [[0] * len(text) for text in texts]
            response = ModelResponse(
                input=[{"role": "user", "content": question}], text=texts, output_tokens=tokens, input_tokens=[0] * 8
            )
            tracker.details_logger.log(task, doc, response, metrics)
            tracker.metrics_logger.log(task, metrics)
        tracker.task_config_logger.tasks_configs = {}
        tracker.metrics_logger.metric_aggregated = {task: {"pass@k:k=1&n=5": 0.4}}
        tracker.save()
        for path in Path(scratch).rglob("*"):
            if path.is_file():
                shutil.copy(path, folder / path.name.replace("|", "_"))


def verifiers_logs(folder: Path) -> None:
    """`traces.jsonl` as 0.4 saves episodes, written by its own classes."""
    from verifiers.v1.configs.agent import WireAgentConfig
    from verifiers.v1.episode import EnvInfo, Episode
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.task import WireTaskData
    from verifiers.v1.trace import AgentInfo, ModelCall, Reward, Trace, TraceTask
    from verifiers.v1.types import AssistantMessage, Sampling, SystemMessage, Usage, UserMessage
    from verifiers.v1.utils.trace_store import write_episode

    (folder / "traces.jsonl").unlink(missing_ok=True)
    for number, (question, gold) in enumerate(SUMS):
        stream = replies(question)
        for _ in range(N_DRAWS):
            text = next(stream)
            data = WireTaskData(idx=number, prompt=question, system_prompt="Be brief.", answer=gold)
            task = TraceTask(type="Sum", data=data, key=str(number))
            said = [SystemMessage(content="Be brief."), UserMessage(content=question), AssistantMessage(content=text)]
            nodes = [
                MessageNode(message=message, parent=None if i == 0 else i - 1, sampled=i == 2)
                for i, message in enumerate(said)
            ]
            usage = Usage(prompt_tokens=8, completion_tokens=len(text))
            call = ModelCall(
                node=2,
                model="fixed",
                sampling=Sampling(temperature=0.7, max_tokens=99),
                finish_reason="stop",
                usage=usage,
            )
            right = Reward(score=float(text.endswith(f"ANSWER: {gold}")))
            trace = Trace(
                task=task,
                agent=AgentInfo(config=WireAgentConfig()),
                nodes=nodes,
                calls=[call],
                ok=True,
                rewards={"right": right},
                metrics={"brief": float(len(text) < 20)},
                is_completed=True,
            )
            episode = Episode(env=EnvInfo(id="sums"), task=task, traces=[trace], ok=True)
            write_episode(folder, episode)


PROGRAMS = {
    "HumanEval/0": ("double", ["    return 2 * x\n", "    return x + x\n", "    return 3 * x\n", "    return x * x\n"]),
    "HumanEval/1": ("half", ["    return x // 2\n", "    return x\n", "    return 0\n", "    return x >> 1\n"]),
}
"""Bodies of two functions: right, right, wrong, right on the base tests alone; and right, wrong, wrong, right."""


def evalplus_logs(folder: Path) -> None:
    """`samples_eval_results.json` of two problems of our own, four programs each, run by evalplus."""
    import os

    with tempfile.TemporaryDirectory() as scratch:
        problems, samples = Path(scratch) / "problems.jsonl", folder / "samples.jsonl"
        rows, drawn = [], []
        for id, (name, bodies) in PROGRAMS.items():
            prompt = f"def {name}(x):\n"
            rows.append(
                {
                    "task_id": id,
                    "prompt": prompt,
                    "entry_point": name,
                    "canonical_solution": bodies[0],
                    "test": "",
                    "contract": "",
                    "base_input": [[0], [2]],
                    "plus_input": [[5], [8]],
                    "atol": 0,
                }
            )
            drawn += [{"task_id": id, "solution": prompt + body} for body in bodies]
        problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
        samples.write_text("".join(json.dumps(row) + "\n" for row in drawn))
        os.environ["HUMANEVAL_OVERRIDE_PATH"] = str(problems)
        os.environ["XDG_CACHE_HOME"] = scratch
        from evalplus.evaluate import evaluate

        evaluate(dataset="humaneval", samples=str(samples), parallel=1, i_just_wanna_run=True)


def helm_logs(folder: Path) -> None:
    """`scenario_state.json` and `per_instance_stats.json` of runs with one and with five completions."""
    from helm.benchmark.adaptation.adapter_spec import AdapterSpec
    from helm.benchmark.adaptation.request_state import RequestState
    from helm.benchmark.adaptation.scenario_state import ScenarioState
    from helm.benchmark.metrics.basic_metrics import compute_reference_metrics
    from helm.benchmark.metrics.metric import PerInstanceStats
    from helm.benchmark.metrics.metric_service import MetricService
    from helm.benchmark.scenarios.scenario import CORRECT_TAG, TEST_SPLIT, Input, Instance, Output, Reference
    from helm.common.codec import to_json
    from helm.common.general import asdict_without_nones
    from helm.common.request import GeneratedOutput, Request, RequestResult, Token

    for n in (1, N_DRAWS):
        run = folder / f"sums_{n}"
        run.mkdir(parents=True, exist_ok=True)
        spec = AdapterSpec(
            method="generation",
            model="fixed/model",
            model_deployment="fixed/model",
            max_tokens=99,
            temperature=0.7,
            num_outputs=n,
            stop_sequences=["\n\n"],
            max_train_instances=0,
        )
        states = []
        for number, (question, gold) in enumerate(SUMS):
            stream = replies(question)
            texts = [next(stream).rpartition(": ")[2] for _ in range(n)]
            reference = Reference(Output(text=gold), tags=[CORRECT_TAG])
            instance = Instance(Input(text=question), [reference], split=TEST_SPLIT, id=f"id{number}")
            prompt = f"Question: {question}\nAnswer:"
            request = Request(
                model="fixed/model",
                model_deployment="fixed/model",
                prompt=prompt,
                num_completions=n,
                max_tokens=99,
                temperature=0.7,
            )
            outputs = [GeneratedOutput(text, 0.0, [Token(text, 0.0)], {"reason": "stop"}) for text in texts]
            result = RequestResult(success=True, embedding=[], completions=outputs, cached=False)
            states.append(RequestState(instance, None, None, 0, None, request, result, 0, False))
        state = ScenarioState(spec, states)
        service = object.__new__(MetricService)  # The metrics of exact matches ask it nothing.
        names = ["exact_match", "quasi_exact_match"]
        stats = []
        for one in states:
            found = compute_reference_metrics(names, spec, one, service)
            stats.append(PerInstanceStats(one.instance.id, None, 0, found))
        (run / "scenario_state.json").write_text(json.dumps(asdict_without_nones(state), indent=2))
        (run / "per_instance_stats.json").write_text(to_json(stats))


def nemo_skills_logs(folder: Path) -> None:
    """`output-rs*.jsonl` of five seeds, evaluated by the grader of a checkout (it is on no package index)."""
    from nemo_skills.evaluation.math_grader import batch_evaluate_results

    streams = {question: replies(question) for question, _ in SUMS}
    for seed in range(N_DRAWS):
        rows = []
        for number, (question, gold) in enumerate(SUMS):
            said, found, answer = next(streams[question]).partition("ANSWER: ")
            text = said + (f"The answer is \\boxed{{{answer}}}." if found else "")
            rows.append(
                {
                    "id": number,
                    "problem": question,
                    "expected_answer": gold,
                    "generation": text,
                    "num_generated_tokens": len(text),
                    "finish_reason": "stop",
                }
            )
        path = folder / f"output-rs{seed}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        batch_evaluate_results([str(path)])


PARTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "verifiers-old": ("verifiers==0.1.14", old_verifiers_logs),
    "trl": ("trl==1.16.0", trl_logs),
    "lighteval": ("lighteval==0.13.0", lighteval_logs),
    "evalplus": ("evalplus==0.3.1", evalplus_logs),
    "helm": ("crfm-helm==0.5.16", helm_logs),
    "nemo-skills": ("a checkout of NVIDIA-NeMo/Skills at 09281ef, with math-verify", nemo_skills_logs),
    "verifiers": ("verifiers==0.4.0", verifiers_logs),
}


if __name__ == "__main__":
    make(PARTS)
