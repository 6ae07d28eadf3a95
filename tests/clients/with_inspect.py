"""Inspect: an evaluation of two questions."""

import json
import os
import sys

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import includes

os.environ["INSPECT_DISPLAY"] = "none"
model = get_model("openai-api/mull/nano@vote", base_url=sys.argv[1], api_key="none", config=GenerateConfig(seed=1))
questions = [Sample(input="a:7;b:a*6;b?", target="42"), Sample(input="a:7;b:a*6;b?", target="no such answer")]
(log,) = eval(Task(dataset=questions, scorer=includes()), model=model, display="none", log_dir="logs")
print(
    json.dumps(
        {
            "status": log.status,
            "samples": [sample.output.completion for sample in log.samples],
            "scores": [sample.scores["includes"].value for sample in log.samples],
            "tokens": sum(usage.output_tokens for usage in log.stats.model_usage.values()),
        }
    )
)
