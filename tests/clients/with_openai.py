"""OpenAI's own client, of any version from 2 on."""

import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
turns = [{"role": "user", "content": "a:7;b:a*6;b?"}]
asked = {"model": "nano@vote", "messages": turns, "seed": 1}
vote = client.chat.completions.with_raw_response.create(**asked, n=2)
answers = vote.parse()
chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
response = client.responses.create(model="nano@vote", input="a:7;b:a*6;b?", extra_body={"seed": 1})
with client.responses.stream(model="nano@vote", input="a:7;b:a*6;b?", extra_body={"seed": 1}) as events:
    kinds = [event.type for event in events]
    last = events.get_final_response()
try:
    client.chat.completions.create(**asked, temperature=-1)
    error = None
except openai.BadRequestError as caught:
    error = [caught.param, caught.type, caught.response.headers["x-should-retry"]]
print(
    json.dumps(
        {
            "models": [model.id for model in client.models.list()],
            "contents": [choice.message.content for choice in answers.choices],
            "finish": [choice.finish_reason for choice in answers.choices],
            "calls": answers.usage.mull["calls"],
            "confidence": answers.mull["answers"][0]["confidence"],
            "request": vote.headers["x-request-id"][:4],
            "role": deltas[0].role,
            "streamed": "".join(delta.content or "" for delta in deltas),
            "streamed_tokens": chunks[-1].usage.completion_tokens,
            "first": chunks[0].model,
            "text": client.completions.create(model="nano@vote", prompt="a:7;b:a*6;b?", seed=1).choices[0].text,
            "response": response.output_text,
            "kinds": [kinds[0], kinds[-1]],
            "response_streamed": last.output_text,
            "error": error,
        }
    )
)
