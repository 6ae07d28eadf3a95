"""Server APIs for reward models: vLLM 0.33, SGLang 0.5, and any server with log-probabilities.

| name | request | read at |
|---|---|---|
| `pooling` | vLLM `POST /pooling`, task `token_classify` | step tags, the last token, or every token |
| `classify` | vLLM `POST /classify` | the end |
| `score` | vLLM `POST /score`, a cross-encoder | the end |
| `sglang-score` | SGLang `POST /v1/score` with `score_extraction_token` | step tags |
| `sglang-classify` | SGLang `POST /classify` | the end |
| `chat` | `POST /v1/chat/completions`, one token with its likeliest alternatives | in place of each assistant turn |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mull.errors import UnknownNameError, UsageError
from mull.types import Message
from mull.verifiers.labels import log_masses
from mull.verifiers.reading import Reading, RewardInput, Rows, Unscored
from mull.wire.address import clean_url, read_key
from mull.wire.body import printable
from mull.wire.endpoints import Limits
from mull.wire.faults import Broken, Refused, Rejected, Unusable
from mull.wire.kept import kept
from mull.wire.replies import Usage, read_usage

if TYPE_CHECKING:
    from mull.wire.link import Link

N_ALTERNATIVES = 20
"""Number of likeliest tokens to request: the most that servers return."""
MANY_BYTES = 64 << 20
"""Maximum bytes of a response: one with numbers for every token is long."""
PATIENCE = 30.0
"""Seconds to retry a server that refuses requests or cannot be reached."""


FOR_TOKENS = """--pooler-config '{"task": "token_classify"}'"""
"""The option of vLLM by which a classifier of sequences gives a value at each token."""
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions that reading a malformed response raises."""


def nonsense(error: Exception) -> str:
    """What was wrong with a malformed response, in few words."""
    return f"{type(error).__name__} {printable(str(error))[:200]}"


class Post(Protocol):
    """Sends a JSON object to a path and returns the JSON that comes back. Raises `Unscored`."""

    async def __call__(self, path: str, body: dict[str, Any]) -> Any: ...


def limits(seconds: float, patience: float) -> Limits:
    """Limits for a scoring server. A request that may have been computed, and paid for, is not retried."""
    return Limits(
        concurrency=32, retries=0, patience=patience, timeout=seconds, connect=min(seconds, 30.0), longest_backoff=8.0
    )


@dataclass(frozen=True)
class Server:
    """A scoring server at `base_url`, with or without `/v1` at its end.

    Raises `UsageError` if that is not a URL or contains credentials, or if the environment variable `api_key_env` is
    not set. All verifiers in an event loop share one connection pool to it.
    """

    base_url: str
    api_key_env: str | None = None
    limits: Limits = field(default_factory=lambda: limits(120.0, PATIENCE))

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", clean_url(self.base_url).removesuffix("/v1"))
        read_key(self.base_url, self.api_key_env)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON response to a JSON object. Raises `Unscored` with the reason if there is none."""
        link = await kept(self, self._link)
        try:
            return await link.ask(path, body, MANY_BYTES)
        except Unusable as error:
            raise Unscored(str(error)) from None
        except (Refused, Broken, Rejected) as error:
            lacks = isinstance(error, Rejected) and error.status in (404, 405)
            hint = ": the server has no such route for this model; server= names others" if lacks else ""
            raise Unscored(f"{self.base_url}{path}: {error}{hint}", isinstance(error, Broken)) from None

    def _link(self) -> Link:
        from mull.wire.link import Link  # imports the HTTP client only for a request

        key = read_key(self.base_url, self.api_key_env)
        return Link((self.base_url,), key, self.limits, has_routes=True)


@dataclass(frozen=True)
class OnServer:
    """A reward model on a server."""

    model: str
    shape: str
    post: Post

    async def rows(self, asked: RewardInput, reading: Reading) -> Rows:
        """The server's numbers for a reply; raises `Unscored` if there are none or they are malformed."""
        try:
            return await SERVERS[self.shape](self.model, self.post, asked, reading)
        except NONSENSE as error:
            what = f"the server's answer does not have the format of {self.shape}: {nonsense(error)}"
            raise Unscored(what, may_be_paid=True) from None


async def _pooling(model: str, post: Post, asked: RewardInput, reading: Reading) -> Rows:
    ends: list[int] = []
    if reading.at == "piece":
        ids, ends = await _tokenized(model, post, asked.pieces)
        what: dict[str, Any] = {"input": ids}
    else:
        what = _input(asked, reading)
    is_activated = reading.activation == "softmax" and reading.readout == "class"
    body = {"model": model, **what, "use_activation": is_activated}
    try:
        reply = await post("/pooling", {**body, "task": "token_classify"})
    except Unscored as why:
        if "task" not in str(why):
            raise
        if reading.at != "end":
            raise Unscored(f"{why}; start vLLM with {FOR_TOKENS}, so that each token has its value") from None
        # A classifier of whole sequences has one value, at the end.
        reply = await post("/pooling", {**body, "task": "classify"})
        return Rows([_row(reply["data"][0]["data"])], is_activated, _read(reply))
    rows = [_row(row) for row in reply["data"][0]["data"]]
    if reading.at == "end":
        rows = rows[-1:]
    elif reading.at == "piece":
        if len(rows) <= ends[-1]:
            raise Unscored(
                f"the server returned values for {len(rows)} of {ends[-1] + 1} tokens: it must not pool them"
            )
        rows = [rows[end] for end in ends]
    return Rows(rows, is_activated, _read(reply))


async def _tokenized(model: str, post: Post, pieces: Sequence[str]) -> tuple[list[int], list[int]]:
    """The token ids of pieces, each tokenized by itself, and the positions where each tag ends."""
    bodies = [{"model": model, "prompt": piece, "add_special_tokens": i == 0} for i, piece in enumerate(pieces)]
    replies = await asyncio.gather(*(post("/tokenize", body) for body in bodies))
    ids: list[int] = []
    ends = []
    for i, reply in enumerate(replies):
        ids += reply["tokens"][-1:] if i and i % 2 == 0 else reply["tokens"]
        if i and i % 2 == 0:
            ends.append(len(ids) - 1)
    return ids, ends


async def _classify(model: str, post: Post, asked: RewardInput, reading: Reading) -> Rows:
    # Raw logits where one number is read: in single precision, the server's sigmoid is 1.0 from 17 on, and the best
    # candidates would tie.
    is_activated = reading.activation == "softmax"
    reply = await post("/classify", {"model": model, **_input(asked, reading), "use_activation": is_activated})
    return Rows([_row(reply["data"][0]["probs"])], is_activated, _read(reply))


async def _score(model: str, post: Post, asked: RewardInput, reading: Reading) -> Rows:
    body = {"model": model, "queries": asked.head, "documents": asked.body, "use_activation": False}
    reply = await post("/score", body)
    return Rows([_row(reply["data"][0]["score"])], False, _read(reply))


async def _sglang_score(model: str, post: Post, asked: RewardInput, reading: Reading) -> Rows:
    body: dict[str, Any] = {"model": model, "query": asked.head, "items": [asked.body]}
    if reading.pair_ids is not None:
        body["label_token_ids"] = list(reading.pair_ids)
    if reading.at == "tag":
        body["score_extraction_token"] = reading.tag.strip()
    is_activated = reading.activation == "softmax"
    reply = await post("/v1/score", {**body, "apply_softmax": is_activated})
    rows = reply["scores"][0] if reading.at == "tag" else reply["scores"][:1]
    return Rows([_row(row) for row in rows], is_activated, _read(reply))


async def _sglang_classify(model: str, post: Post, asked: RewardInput, reading: Reading) -> Rows:
    reply = await post("/classify", {"model": model, "text": f"{asked.head}{asked.body}"})
    return Rows([_row(reply["embedding"])], False, read_usage(reply.get("meta_info")).prompt)


async def _chat(model: str, post: Post, asked: RewardInput, reading: Reading) -> Rows:
    ends = [i for i, message in enumerate(asked.messages) if message.role == "assistant"]
    replies = await asyncio.gather(*(_next_token(model, post, asked.messages[:end]) for end in ends))
    rows = []
    for tokens, _ in replies:
        masses = log_masses(tokens, [reading.pair[:1], reading.pair[1:]])
        if masses is None:
            raise Unscored(
                f"the likeliest tokens leave {' and '.join(map(repr, reading.pair))} undecided: "
                "is it a reward model of this preset?"
            )
        rows.append(masses)
    counts = [usage.prompt for _, usage in replies]
    known = [count + 1 for count in counts if count is not None]  # each assistant turn is one more token
    return Rows(rows, False, sum(known) if len(known) == len(counts) else None)


async def _next_token(model: str, post: Post, messages: Sequence[Message]) -> tuple[list[tuple[str, float]], Usage]:
    """The likeliest next tokens of a conversation with their log-probabilities, and the number of tokens read."""
    body = {
        "model": model,
        "messages": _told(messages),
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": N_ALTERNATIVES,
    }
    reply = await post("/v1/chat/completions", body)
    logprobs = reply["choices"][0]["logprobs"]
    if not logprobs or not logprobs["content"]:
        raise Unscored("the server returns no log-probabilities")
    tokens = [(top["token"], float(top["logprob"])) for top in logprobs["content"][0]["top_logprobs"]]
    return tokens, read_usage(reply.get("usage"))


def _told(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.text} for m in messages]


def _input(asked: RewardInput, reading: Reading) -> dict[str, Any]:
    if reading.form == "plain":
        return {"input": f"{asked.head}{asked.body}"}
    return {"messages": _told(asked.messages)}


def _row(numbers: Any) -> list[float]:
    """The numbers at one position; a single number may come without brackets."""
    return [float(x) for x in numbers] if isinstance(numbers, list) else [float(numbers)]


def _read(reply: dict[str, Any]) -> int | None:
    """The number of tokens that a reward model read; `None` if its server reports no valid count."""
    return read_usage(reply.get("usage")).prompt


SERVERS: dict[str, Callable[[str, Post, RewardInput, Reading], Awaitable[Rows]]] = {
    "pooling": _pooling,
    "classify": _classify,
    "score": _score,
    "sglang-score": _sglang_score,
    "sglang-classify": _sglang_classify,
    "chat": _chat,
}


def check_shape(shape: str, reading: Reading) -> None:
    """Raises an error if a server API cannot return the values that a reading needs."""
    if shape not in SERVERS:
        raise UnknownNameError("way of serving a reward model", shape, [*SERVERS, "transformers"])
    places = {"pooling": ("end", "tag", "piece"), "sglang-score": ("end", "tag")}.get(shape, ("end",))
    wants = "turns" if reading.form == "turns" else reading.at
    if (shape == "chat") != (wants == "turns") or (wants != "turns" and wants not in places):
        raise UsageError(f"server={shape} cannot read this reward model's values: use server={reading.server}")
    if shape.startswith("sglang") and reading.form == "chat" and not reading.template:
        raise UsageError(
            f"server={shape} applies no chat template, and this reward model's is unknown: use server={reading.server}"
        )
