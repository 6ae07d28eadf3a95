"""First contact with a server: checks that it is up and has the model, and probes each version of it once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from mull.errors import ModelError, SetupError, UnknownNameError
from mull.models.served import backends, template
from mull.models.served.behind import background
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment, short_name
from mull.models.served.known import known, save
from mull.models.served.opened import Opened
from mull.models.served.prober import Prober
from mull.types import Purse
from mull.wire.body import printable, read_object, word
from mull.wire.faults import Broken, Malformed, Refused, Rejected, Unusable
from mull.wire.link import Link
from mull.wire.replies import MOST_TOKENS
from mull.wire.retries import Attempts

MOST_CALLS, PROBE_TOKENS = 48, 24
"""The most requests of a probe, and the most tokens of each."""
N_HELLOS = 3


async def greet(here: Opened, purse: Purse | None) -> Capabilities:
    """Checks that the server is up and has the model, and probes it unless its capabilities are known.

    Raises `SetupError` if it is not OpenAI-compatible or lacks the model, `ModelError` if it cannot be reached. If the
    ceilings leave no room for the probe, this process assumes the fewest capabilities and saves nothing. In a context
    with a `background` the probe goes on there if the call is cancelled, and `purse` does not pay for it.
    """
    if (kept := background.get()) is not None:
        return here.can or await kept.wait(here, here.deployment.name, lambda purse: _greet(here, purse))
    return await _greet(here, purse)


async def _greet(here: Opened, purse: Purse | None) -> Capabilities:
    async with here.lock:
        if here.can is not None:
            return here.can
        deployment = here.deployment
        seen = await look(here)
        can = known(deployment)
        for endpoint in here.link.pool.endpoints:
            endpoint.slots = seen.slots
        if can is None or (can.backend, can.version) != (seen.backend, seen.version):
            quote = replace(deployment.price.cost(MOST_CALLS * 100, MOST_CALLS * PROBE_TOKENS), calls=MOST_CALLS)
            if purse is not None and not purse.hold(quote):
                why = "the budget left no room to probe the server; run mull list models --probe"
                here.can = replace(seen, why=why)
                return here.can
            prober = Prober(here.named, here.link, seen)
            try:
                can = await prober.find_out()
            finally:
                if purse is not None:
                    purse.pay(prober.cost)
            save(deployment, can)
        # The same version may have been started again with other limits.
        here.can = can = replace(can, slots=seen.slots, context=seen.context)
        return can


async def look(here: Opened) -> Capabilities:
    """Kind, version, limits and chat template of a server, as it reports them at no cost. Raises as `greet` does."""
    deployment, link = here.deployment, here.link
    seen: Capabilities | None = None
    reasons, away = [], None
    for endpoint in link.pool.endpoints:
        try:
            told = await _hello(here, endpoint.url)
        except Refused as error:
            reasons.append(f"{endpoint.url}: {error}")
            endpoint.n_failed = 3
            away = error
            continue
        except Rejected as error:
            endpoint.dead = endpoint.dead or error.at(endpoint.url)
            reasons.append(str(endpoint.dead))
            continue
        seen = seen or told
    if seen is None:
        try:
            link.pool.check()
        except Unusable as error:
            raise ModelError(f"{deployment.name}: {error}", error.wait) from error
        raise ModelError(f"{deployment.name}: {'; '.join(reasons)}; {_how_to_start(deployment.urls[0])}") from away
    return seen


async def _get(link: Link, url: str) -> tuple[int, bytes]:
    """Status and body of a page, requested at most `N_HELLOS` times. Raises `Refused` or `Rejected`."""
    attempts = Attempts(replace(link.limits, retries=N_HELLOS - 1), 1)
    while True:
        try:
            status, raw = await link.get(url)
        except (Refused, Broken) as error:
            pause = attempts.failed()
            if pause is None:
                raise Refused(str(error), plain=error.plain) from None
        except Malformed as error:
            raise Rejected(str(error), 0, error.plain) from None
        else:
            pause = attempts.failed() if status >= 500 or status == 429 else None
            if pause is None:
                return status, raw
        await attempts.wait(pause)


async def _hello(here: Opened, url: str) -> Capabilities:
    """`look` at one endpoint. Raises `SetupError`, `Refused` or `Rejected`."""
    rows = await _listed(here.link, url)
    # Anthropic's list has no aliases.
    ids = [] if here.deployment.is_named and _is_anthropic(rows) else _ids(rows)
    here.named = replace(here.deployment, served=name_among(here.deployment, ids))
    return await _kind(here.named, here.link, url, rows)


async def models_at(deployment: Deployment, link: Link) -> list[str]:
    """The models that the first endpoint lists. Raises `SetupError` or `ModelError`."""
    try:
        return _ids(await _listed(link, deployment.urls[0]))
    except (Refused, Rejected) as error:
        hint = f"; {_how_to_start(deployment.urls[0])}" if isinstance(error, Refused) else ""
        raise ModelError(f"{deployment.urls[0]}: {error}{hint}") from error


def _how_to_start(url: str) -> str:
    port = urlsplit(url).port
    where = f" --port {port}" if port else ""
    return f"is the server running? One starts with `vllm serve MODEL{where}` or `llama-server -m FILE{where}`"


def _ids(rows: list[dict[str, Any]]) -> list[str]:
    return [name for row in rows if (name := word(row.get("id"))).isprintable() and name]


async def _listed(link: Link, url: str) -> list[dict[str, Any]]:
    """The models that an endpoint lists; empty if it has no list. Raises `SetupError`, `Refused` or `Rejected`."""
    status, raw = await _get(link, url + "/models")
    if status in (401, 403):
        raise link.about_key(status, raw)
    if 300 <= status < 400:
        raise Rejected("it redirects, which is not followed: set base_url to the new address", status)
    if status == 200:
        try:
            listed = read_object(raw).get("data")
        except Malformed:
            listed = None
        if not isinstance(listed, list):
            if not raw:  # an empty body does not mean that the rest of the API is missing
                return []
            raise SetupError(await _no_server(link, url, raw.lstrip()[:1] == b"<"))
        return [row for row in listed if isinstance(row, dict)]
    if status == 404 and not url.endswith("/v1") and (await _get(link, url + "/v1/models"))[0] == 200:
        raise SetupError(await _no_server(link, url))
    return []  # not every server lists its models


def name_among(deployment: Deployment, ids: list[str]) -> str:
    """A server's own name for the model of a deployment: its name, a file's path with that stem, or the only one.

    Raises `SetupError` for a model that is not in the server's list, unless the list is empty.
    """
    if not ids or deployment.served in ids or f"{deployment.served}:latest" in ids:
        return deployment.served
    files = [name for name in ids if short_name(name) == deployment.served]
    if len(files) == 1 or (len(ids) == 1 and not deployment.is_named):
        return (files or ids)[0]
    shown = ", ".join(name[:60] for name in ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
    raise SetupError(
        f"{UnknownNameError('model', deployment.served, ids)} The server {deployment.urls[0]} has: {shown}"
    )


async def _no_server(link: Link, url: str, is_page: bool = False) -> str:
    words = f"{url} is no OpenAI-compatible server: GET {url}/models "
    words += "answers with a web page" if is_page else "does not list models"
    try:
        status, raw = await _get(link, url + "/v1/models")
        if status == 200 and isinstance(read_object(raw).get("data"), list):
            return f"{words}, but {url}/v1/models does: did you mean base_url = {url}/v1?"
    except (Refused, Rejected, Malformed):
        pass
    return words


async def _kind(deployment: Deployment, link: Link, url: str, rows: list[dict[str, Any]]) -> Capabilities:
    """The kind of a server, recognised by the owners of its models or by pages that only such a server has."""
    owners = {word(row.get("owned_by")) for row in rows}
    root = url.removesuffix("/v1")
    by_owner = next((b for b in backends.BACKENDS if owners & set(b.owned_by)), None)
    if by_owner is None and _is_anthropic(rows):
        by_owner = backends.named("anthropic")
    context = next((_size(row, "max_model_len") for row in rows if row.get("id") == deployment.served), None)
    asked = [by_owner] if by_owner else list(backends.BACKENDS)
    for backend in asked:
        page = await _page(link, root + backend.version_path) if backend.version_path else {}
        version = page.get(backend.version_field)
        if by_owner is not None or version is not None:
            seen = _seen(deployment, backend, printable(word(version))[:60], template.told(page))
            settings = page.get("default_generation_settings")
            context = context or (_size(settings, "n_ctx") if isinstance(settings, dict) else None)
            return replace(seen, slots=_size(page, "total_slots"), context=context)
    page = await _page(link, root + "/openapi.json")
    info, paths = page.get("info"), page.get("paths")
    info, paths = info if isinstance(info, dict) else {}, paths if isinstance(paths, dict) else {}
    title = word(info.get("title"))
    for backend in backends.BACKENDS:
        if backend.openapi and (backend.openapi in title or backend.openapi in paths):
            version = "" if title == "FastAPI" else printable(word(info.get("version")))[:60]
            return _seen(deployment, backend, version)
    return _seen(deployment, backends.UNKNOWN, "")


def _is_anthropic(rows: list[dict[str, Any]]) -> bool:
    """Whether a list of models is in the form of Anthropic's own."""
    return bool(rows) and all(row.get("type") == "model" and "display_name" in row for row in rows)


def _seen(
    deployment: Deployment, backend: backends.Backend, version: str, told: template.ChatTemplate | None = None
) -> Capabilities:
    lengths = {
        "responses": "max_output_tokens",
        "chat": "max_completion_tokens" if backend.name == "openai" else "max_tokens",
    }
    return Capabilities(
        backend.name,
        version,
        length=lengths.get(deployment.api, "max_tokens"),
        rejects=tuple(sorted(backend.rejects | backends.LACKS.get(deployment.api, frozenset()))),
        template=deployment.template or told,
        stop="ignored" if deployment.api == "responses" else "dropped",
    )


def _size(told: dict[str, Any], name: str) -> int | None:
    value = told.get(name)
    return value if type(value) is int and 1 <= value <= MOST_TOKENS else None


async def _page(link: Link, url: str) -> dict[str, Any]:
    """A page on which a server describes itself; empty if it has none."""
    try:
        status, raw = await _get(link, url)
        return read_object(raw) if status == 200 else {}
    except (Refused, Rejected, Malformed):
        return {}
