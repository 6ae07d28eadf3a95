"""Builds models, verifiers, judges and strategies from their specs or from names in `mull.toml`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from mull import spec
from mull.cost import Price
from mull.errors import UnknownNameError, UsageError
from mull.types import Budget, Served

DEFAULT_MODEL = "nano"
Models = Callable[[str], Any]
"""Makes the model of a name."""


def model_of(
    text: str,
    seed: int,
    config: Path | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    budget: Budget | None = None,
    price: Price | None = None,
    folder: Path | None = None,
) -> Any:
    """The model of a name: at `base_url`, in `mull.toml`, or built in. Checks a budget against the model's prices.

    `price` is that of a model at `base_url`. A file that the name has goes from `folder`, by default the working one.
    """
    if base_url is not None:
        check_priced_at(budget or Budget(), price)
        return _model_at(base_url, text, api_key_env, price)
    if api_key_env is not None:
        raise UsageError("--api-key-env goes with --base-url; for a model of mull.toml, api_key_env goes there")
    name = text.strip().partition(":")[0]
    if name in spec.MODELS and config is None:
        return spec.build("model", spec.MODELS, text, folder=folder, seed=seed)
    from mull.config import settings

    known = settings.read(config)
    if name in spec.MODELS or (text not in known.models and spec.is_named("model", spec.MODELS, text)):
        return spec.build("model", spec.MODELS, text, folder=folder, seed=seed)
    if text not in known.models:
        raise _unknown_model(text, [*spec.MODELS, *spec.installed("model"), *known.models])
    from mull.models.served import configured

    if budget is not None:
        configured.check_priced(known, text, budget)
    return configured.configured(known, text)


def _unknown_model(text: str, known: list[str]) -> UsageError:
    """The error for a model that is not known: the nearest, or the lines that make it known."""
    if re.match(r"https?://", text):
        return UsageError(f"a model is a name, not an address: give the address of its server with --base-url {text}")
    near = UnknownNameError("model", text, known)
    if "did you mean" in str(near):
        return near
    error = UsageError(
        f"unknown model {text!r}: give its server with --base-url, or add these lines to mull.toml "
        f"(known without: {', '.join(sorted(known))})"
    )
    url, key = "http://localhost:8000/v1", ""
    if re.match(r"(.*/)?(gpt-|o\d|chatgpt)", text):
        url, key = "https://api.openai.com/v1", '\n  api_key_env = "OPENAI_API_KEY"'
    error.add_note(f'  [models.{json.dumps(text)}]\n  base_url = "{url}"{key}')
    return error


def check_priced_at(budget: Budget, price: Price | None) -> None:
    """Raises `UsageError` for a ceiling that cannot be kept by a model at `--base-url`, with what it needs."""
    if budget.usd is not None and price is None:
        raise UsageError(
            "a ceiling on usd cannot be kept without a price: give --usd-per-mtok-in and --usd-per-mtok-out, "
            "in dollars per million tokens"
        )
    if budget.flops is not None:
        raise UsageError(
            "a ceiling on flops cannot be kept by a model at --base-url: give it a table in mull.toml with "
            "active_params, or use --tokens"
        )


def _model_at(base_url: str, text: str, api_key_env: str | None, price: Price | None) -> Any:
    from mull.models.served import configured
    from mull.run.together import finished

    served = finished(configured.only_model(base_url, api_key_env)) if text == DEFAULT_MODEL else text
    return configured.at_url(base_url, served, api_key_env, price)


def is_served(model: Any) -> bool:
    """Whether a model is behind a server."""
    return isinstance(model, Served) and hasattr(model, "sample")  # provers have a `prepare` of their own


def verifier_of(
    text: str | None,
    seed: int = 0,
    config: Path | None = None,
    models: Models | None = None,
    folder: Path | None = None,
) -> Any:
    """The verifier of a spec, or of a name defined in `mull.toml`; `models` makes those that it names.

    Files that a spec names go from `folder`, by default the working one; those in `mull.toml` from its own.
    """
    return None if text is None else _named("verifier", spec.VERIFIERS, text, seed, config, models, folder)


def judge_of(
    text: str | None,
    seed: int = 0,
    config: Path | None = None,
    models: Models | None = None,
    folder: Path | None = None,
) -> Any:
    """The judge of a spec, or of a name defined in `mull.toml`; `models` makes those that it names.

    Files that a spec names go from `folder`, by default the working one; those in `mull.toml` from its own.
    """
    return None if text is None else _named("judge", spec.JUDGES, text, seed, config, models, folder)


def _named(
    kind: str,
    table: dict[str, str],
    text: str,
    seed: int,
    config: Path | None,
    models: Models | None = None,
    folder: Path | None = None,
) -> Any:
    if text.partition(":")[0].strip() not in table:
        from mull.config import settings

        known = settings.read(config)
        named = known.verifiers if kind == "verifier" else known.judges
        if text not in named and not spec.is_named(kind, table, text):
            raise UnknownNameError(kind, text.partition(":")[0], [*table, *spec.installed(kind), *named])
        if text in named:
            text, folder = named[text], known.folder
    models = models or (lambda name: model_of(name, seed, config, folder=folder))
    return spec.build(kind, table, text, models=models, folder=folder, seed=seed)


class Plans:
    """Builds strategies from specs; builds each model that they name once, by `models` if given, and shares it.

    Files that specs name go from `folder`, by default the working one.
    """

    def __init__(
        self,
        seed: int,
        config: Path | None,
        budget: Budget | None = None,
        models: Models | None = None,
        folder: Path | None = None,
    ) -> None:
        self._seed, self._config, self._budget, self._make, self._folder = seed, config, budget, models, folder
        self._models: dict[str, Any] = {}

    @property
    def models(self) -> list[Any]:
        """The models that specs have named so far."""
        return list(self._models.values())

    def _model(self, name: str) -> Any:
        if name not in self._models:
            made = self._make
            self._models[name] = (
                model_of(name, self._seed, self._config, budget=self._budget) if made is None else made(name)
            )
        return self._models[name]

    def build(self, text: str, **defaults: Any) -> Any:
        """The strategy of a spec; models, verifiers and judges in it may be names in `mull.toml`."""

        def named(kind: str, table: dict[str, str]) -> spec.Make:
            return lambda text: _named(kind, table, text, self._seed, self._config, self._make, self._folder)

        return spec.build(
            "strategy",
            spec.STRATEGIES,
            text,
            models=self._model,
            verifiers=named("verifier", spec.VERIFIERS),
            judges=named("judge", spec.JUDGES),
            folder=self._folder,
            **defaults,
        )


def executor_of(text: str) -> Any:
    return spec.build("executor", spec.EXECUTORS, text)


def served_in(*values: Any) -> list[Any]:
    """The models behind servers inside these values: what a verifier or a judge draws from."""
    return list(dict.fromkeys(filter(is_served, parts_of(*values))))


def parts_of(*values: Any) -> Iterator[Any]:
    """These values and all that they hold, however deep, such as the model of a judge; models are not looked into."""
    for value in values:
        yield value
        if isinstance(value, tuple | list):
            yield from parts_of(*value)
        elif is_dataclass(value) and not isinstance(value, type) and not is_model(value):
            yield from parts_of(*(getattr(value, f.name) for f in fields(value)))


def is_model(value: Any) -> bool:
    """Whether draws can be made from a value."""
    return callable(getattr(value, "sample", None))
