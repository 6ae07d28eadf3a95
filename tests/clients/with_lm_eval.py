"""lm-evaluation-harness: a task of two questions over its client for OpenAI's chats."""

import json
import sys
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager

rows = [{"question": "a:7;b:a*6;b?", "answer": "42"}, {"question": "a:7;b:a*6;b?", "answer": "none"}]
Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
Path("chains.yaml").write_text(
    """
task: chains
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["zzz"], max_gen_toks: 64}
filter_list:
  - name: number
    filter:
      - {function: regex, regex_pattern: "(-?\\\\d+)", group_select: -1}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
)
found = lm_eval.simple_evaluate(
    model="local-chat-completions",
    model_args={
        "model": "nano@vote",
        "base_url": f"{sys.argv[1]}/chat/completions",
        "num_concurrent": 2,
        "tokenizer_backend": None,
        "max_retries": 1,
    },
    tasks=["chains"],
    task_manager=TaskManager(include_path="."),
    apply_chat_template=True,
    log_samples=True,
    bootstrap_iters=0,
)
samples = found["samples"]["chains"]
print(
    json.dumps(
        {
            "exact_match": found["results"]["chains"]["exact_match,number"],
            "replies": [sample["resps"][0][0] for sample in samples],
        }
    )
)
