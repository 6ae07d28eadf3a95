"""Token ids from a server's `/tokenize`."""

from __future__ import annotations

from collections.abc import Sequence

from mull.errors import ModelError
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.models.served.opened import Opened
from mull.wire.body import encode, read_object
from mull.wire.faults import Broken, Malformed, Refused, Rejected
from mull.wire.link import REFUSALS, Link
from mull.wire.retries import Attempts


async def first_tokens(here: Opened, texts: Sequence[str], can: Capabilities) -> dict[str, int]:
    """The id of the first token of each text; empty if the server's `logit_bias` does not use ids.

    Raises `ModelError` if the server no longer reports them.
    """
    if can.biases != "ids":
        return {}
    for text in texts:
        if text not in here.token_ids:
            found = await first_token(here.deployment, here.link, text)
            if found is None:
                raise ModelError(f"{here.deployment.name}: its server no longer reports the tokens of {text!r}")
            here.token_ids[text] = found
    return here.token_ids


async def first_token(deployment: Deployment, link: Link, text: str) -> int | None:
    """The id of a text's first token, from `/tokenize` of vLLM, SGLang or llama.cpp; `None`: not reported.

    Raises `ModelError` if the server refuses to answer now.
    """
    body = {
        "model": deployment.served,
        "prompt": text,
        "content": text,
        "add_special_tokens": False,
        "add_special": False,
    }
    root = deployment.urls[0].removesuffix("/v1")
    attempts = Attempts(link.limits, 1)
    while True:
        try:
            status, raw = await link.post(root + "/tokenize", encode(body))
        except Refused:
            status, raw = 503, b""
        except (Broken, Rejected, Malformed):
            return None
        if status not in REFUSALS:
            break
        if (pause := attempts.refused(None)) is None:
            raise ModelError(f"{deployment.name}: {root}/tokenize cannot be asked now")
        await attempts.wait(pause)
    try:
        tokens = read_object(raw).get("tokens") if status == 200 else None
    except Malformed:
        return None
    first = tokens[0] if isinstance(tokens, list) and tokens else None
    return first if isinstance(first, int) and not isinstance(first, bool) else None
