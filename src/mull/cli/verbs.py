"""Commands that are imported when they are asked for, and whose plain values need no validation library."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from mull.cli.logs import with_log_level
from mull.cli.output import tell
from mull.errors import UsageError


class Verb(NamedTuple):
    """Where a command or a group of commands stands, `module:name`, and the first paragraph of its help."""

    path: str
    about: str

    def load(self, name: str) -> Any:
        """The command itself; its module is imported."""
        module, _, what = self.path.partition(":")
        found = getattr(import_module(module), what)
        if isinstance(found, typer.Typer):
            found.info.cls = PlainGroup
            for command in found.registered_commands:
                command.cls = Plain
                if command.callback is not None:
                    command.callback = with_log_level(command.callback)
            return get_command(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        alone.command(name, cls=Plain)(with_log_level(found))
        return get_command(alone)


def lazy(verbs: Mapping[str, Verb]) -> type[TyperGroup]:
    """A group whose help shows all verbs, and which imports the one that is asked for."""

    class Lazy(PlainGroup):
        def __init__(self, **told: Any) -> None:
            shown = {name: TyperCommand(name, help=verb.about, rich_markup_mode=None) for name, verb in verbs.items()}
            super().__init__(**{**told, "commands": shown})

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, shown, rest = super().resolve_command(ctx, args)
            return name, shown if name is None else verbs[name].load(name), rest

        def invoke(self, ctx: Any) -> Any:
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                tell("mull: interrupted")
                raise typer.Exit(130) from None

    return Lazy


class PlainGroup(TyperGroup):
    """A group of commands, as `Plain` is one command."""

    def get_params(self, ctx: Any) -> Any:
        return _taken_plain(super().get_params(ctx))


class Plain(TyperCommand):
    """A command that takes values of plain types as they are: Typer would import pydantic for those too."""

    def get_params(self, ctx: Any) -> Any:
        return _taken_plain(super().get_params(ctx))


def _taken_plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if "process_value" not in vars(parameter):
            parameter.process_value = _Taking(parameter)
    return parameters


class _Taking:
    """How a parameter's value is processed; whatever is not plain, and so every error, is Typer's business."""

    def __init__(self, parameter: Any) -> None:
        self._parameter, self._by_typer = parameter, parameter.process_value

    def __call__(self, ctx: Any, value: Any) -> Any:
        parameter = self._parameter
        kind = parameter.type_descriptor.annotation
        if parameter.required and not value:
            return self._by_typer(ctx, value)
        if kind == list[str]:
            return self._listed(ctx, value)
        if parameter.nargs != 1 or parameter.multiple:
            return self._by_typer(ctx, value)
        if kind in (int, float) and isinstance(value, str):
            value = self._number(kind, value)
        if value is not None and type(value) is not kind:
            return self._by_typer(ctx, value)
        return value if parameter.callback is None else parameter.callback(ctx, parameter, value)

    def _listed(self, ctx: Any, value: Any) -> Any:
        """An option that may be given several times; `None` where it was not given."""
        if self._parameter.callback is not None or any(type(one) is not str for one in value or ()):
            return self._by_typer(ctx, value)
        return list(value) if value else None

    def _number(self, kind: type, text: str) -> int | float:
        try:
            return int(text) if kind is int else float(text)
        except ValueError:
            name = max(self._parameter.opts, key=len)
            what = "a whole number" if kind is int else "a number"
            about = getattr(self._parameter, "help", None)
            raise UsageError(f"{name} takes {what}, not {text!r}{f': {about}' if about else ''}") from None
