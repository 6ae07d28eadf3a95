"""LiteLLM as a library."""

import json
import sys

import litellm

asked = {
    "model": "openai/nano@vote",
    "api_base": sys.argv[1],
    "api_key": "none",
    "messages": [{"role": "user", "content": "a:7;b:a*6;b?"}],
    "seed": 1,
    "num_retries": 0,
}
whole = litellm.completion(**asked, extra_body={"mull": {"return": ["tally"]}})
chunks = list(litellm.completion(**asked, stream=True))
try:
    litellm.completion(**{**asked, "model": "openai/nanoo"})
    error = None
except litellm.NotFoundError as caught:
    error = "did you mean 'nano'" in str(caught)
print(
    json.dumps(
        {
            # LiteLLM moves a thought out of the content of a whole reply, and leaves it in a streamed one.
            "content": whole.choices[0].message.content,
            "finish": whole.choices[0].finish_reason,
            "tokens": whole.usage.completion_tokens,
            "tally": whole.mull["answers"][0]["tally"],
            "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
            "error": error,
        }
    )
)
