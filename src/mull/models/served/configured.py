"""Models configured in `mull.toml` or on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mull.config.settings import Config
from mull.cost import Price
from mull.cost.flops import Architecture, read_architecture, read_config
from mull.errors import UsageError
from mull.models.served.deployment import Deployment, short_name
from mull.models.served.model import OpenAIModel
from mull.models.served.template import ChatTemplate, read_template
from mull.types import Budget
from mull.wire.endpoints import Limits

PRICED_BY = {"usd": ("usd_per_mtok_in", "usd_per_mtok_out"), "flops": ("active_params",)}
"""The fields that each ceiling needs; for FLOPs, `architecture` may replace them."""
EXAMPLES = {"usd_per_mtok_in": "0.15", "usd_per_mtok_out": "0.60", "active_params": "8e9"}


def configured(config: Config, name: str) -> OpenAIModel:
    """The model of the table `[models.NAME]`. Raises `FileFormatError` if the table is not valid."""
    table = config.models[name]
    urls = (table.base_url,) if isinstance(table.base_url, str) else tuple(table.base_url)
    try:
        extra = json.dumps(table.extra_body, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise config.refuse(f"it cannot be sent as JSON: {error}", "models", name, "extra_body") from error
    try:
        deployment = Deployment(name, urls, table.model or name, table.api, table.api_key_env, extra=extra)
    except UsageError as error:
        raise config.refuse(str(error), "models", name, "base_url") from error
    limits = Limits(
        table.concurrency,
        table.retries,
        table.patience,
        table.timeout,
        table.connect_timeout,
        table.idle_timeout,
        table.backoff,
    )
    price = Price(
        table.usd_per_mtok_in,
        table.usd_per_mtok_out,
        table.active_params,
        table.usd_per_mtok_cached,
        _architecture(config, name),
    )
    bank_as = ":".join(filter(None, (name, deployment.served, table.version)))
    return OpenAIModel(
        replace(
            deployment,
            price=price,
            limits=limits,
            use_n=table.use_n,
            most_n=table.most_n,
            stream=table.stream,
            template=_template(config, name),
            bank_as=bank_as,
            is_named=table.model is not None,
            effort=table.effort,
        )
    )


def _architecture(config: Config, name: str) -> Architecture | None:
    told = config.models[name].architecture
    if told is None:
        return None
    if config.models[name].active_params is not None:
        raise config.refuse("give active_params or architecture, not both", "models", name, "architecture")
    try:
        if isinstance(told, dict):
            return read_architecture(told)
        assert config.folder is not None  # what has a table was read from a file
        return read_config(config.folder / Path(told).expanduser())
    except UsageError as error:
        raise config.refuse(str(error), "models", name, "architecture") from error


def _template(config: Config, name: str) -> ChatTemplate | None:
    table = config.models[name]
    if table.chat_template is None:
        return None
    assert config.folder is not None  # what has a table was read from a file
    path = config.folder / Path(table.chat_template).expanduser()
    if not path.is_file():
        raise config.refuse(f"there is no file {table.chat_template!r}", "models", name, "chat_template")
    read = read_template(path)
    bos = read.bos_token if table.bos_token is None else table.bos_token
    eos = read.eos_token if table.eos_token is None else table.eos_token
    return replace(read, bos_token=bos, eos_token=eos)


def check_priced(config: Config, name: str, budget: Budget) -> None:
    """Raises `FileFormatError`, naming field and line, for a ceiling on something the table gives no price for."""
    for ceiling, names in PRICED_BY.items():
        missing = [field for field in names if getattr(config.models[name], field) is None]
        if ceiling == "flops" and config.models[name].architecture is not None:
            continue
        if getattr(budget, ceiling) is not None and missing:
            raise config.refuse(
                f"a ceiling on {ceiling} cannot be kept: [models.{name}] has no {' and no '.join(missing)}: "
                f"add {' and '.join(f'{field} = {EXAMPLES[field]}' for field in missing)} with the true figures",
                "models",
                name,
            )


def at_url(url: str, served: str, api_key_env: str | None, price: Price | None = None) -> OpenAIModel:
    """A model at a URL, without further configuration but its price."""
    deployment = Deployment(short_name(served), (url,), served, api_key_env=api_key_env)
    return OpenAIModel(deployment if price is None else replace(deployment, price=price))


async def only_model(url: str, api_key_env: str | None) -> str:
    """The only model of a server. Raises `UsageError` if it has several or none."""
    from mull.models.served.hello import models_at
    from mull.models.served.opened import opened

    deployment = Deployment("?", (url,), "?", api_key_env=api_key_env)
    ids = await models_at(deployment, (await opened(deployment)).link)
    if len(ids) != 1:
        what = "lists no models" if not ids else f"has several: {', '.join(ids[:20])}"
        raise UsageError(f"{deployment.urls[0]} {what}; name one with --model")
    return ids[0]
