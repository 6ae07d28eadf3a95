"""LangChain's chat model for OpenAI's API."""

import json
import sys

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="nano@vote", base_url=sys.argv[1], api_key="none", seed=1, max_retries=0)
whole = model.invoke("a:7;b:a*6;b?")
deep = ChatOpenAI(
    model="nano", base_url=sys.argv[1], api_key="none", seed=1, extra_body={"mull": {"strategy": "majority:n=4"}}
)
print(
    json.dumps(
        {
            "content": whole.content,
            "finish": whole.response_metadata["finish_reason"],
            "strategy": whole.response_metadata["system_fingerprint"],
            "tokens": whole.usage_metadata["output_tokens"],
            "streamed": "".join(chunk.content for chunk in model.stream("a:7;b:a*6;b?")),
            "batch": [reply.content for reply in model.batch(["a:7;b:a*6;b?", "a:7;b:a*6;b?"])],
            "deep": deep.invoke("a:7;b:a*6;b?").response_metadata["system_fingerprint"],
        }
    )
)
