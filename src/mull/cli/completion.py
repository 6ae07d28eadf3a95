"""`mull completion`: the scripts by which shells complete commands, and the index of words that answers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from mull.cli.output import say
from mull.errors import UnknownNameError
from mull.types import AnswerKind

BASH = """\
_mull_completion() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $line ]]; then compopt -o default; else COMPREPLY+=("$line"); fi
    done < <(MULL_COMPLETE=bash MULL_LINE="${COMP_LINE:0:COMP_POINT}" MULL_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=,\\(/] ]]; then compopt -o nospace; fi
}
complete -F _mull_completion mull"""
ZSH = """\
#compdef mull
_mull() {
    local line word
    local -a ended open told_ended told_open
    while IFS= read -r line; do
        if [[ -z $line ]]; then _files; continue; fi
        word=${line%%$'\\t'*}
        if [[ $word == *[:=,\\(/] ]]; then
            open+=("$word"); told_open+=("${line/$'\\t'/  }")
        else
            ended+=("$word"); told_ended+=("${line/$'\\t'/  }")
        fi
    done < <(MULL_COMPLETE=zsh MULL_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" "${words[1]}" 2>/dev/null)
    (( $#open )) && compadd -S '' -l -d told_open -- $open
    (( $#ended )) && compadd -l -d told_ended -- $ended
}
compdef _mull mull"""
FISH = """\
function __mull_words
    set -l line (commandline -cp | string collect)
    for word in (MULL_COMPLETE=fish MULL_LINE="$line" mull 2>/dev/null)
        if test -z "$word"
            __fish_complete_path (commandline -ct)
        else
            echo $word
        end
    end
end
complete --command mull --no-files --arguments '(__mull_words)'"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
VALUES: Mapping[str, Any] = {
    "model": "model",
    "strategy": "strategy",
    "verifier": "verifier",
    "judge": "judge",
    "executor": "executor",
    "task": "task",
    "bank": "file",
    "source": "file",
    "sources": "file",
    "kind": [kind.value for kind in AnswerKind if kind is not AnswerKind.CODE],
    "match": ["exact", "includes", "regex:"],
    "ask": ["line", "boxed", "none"],
    "shell": list(SCRIPTS),
}
"""What the values of options and arguments are, by name; those of type `Path` are files."""
FILE_OPTIONS = ("path", "file", "folder")
"""The options in specs that name files."""


HELP: Mapping[str, Any] = {"--help": {"takes": None, "about": "Show this message and exit."}}
"""The option of every command."""


def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the script that completes commands, options, names and specs in a shell.

    Example: mull completion bash >> ~/.bashrc
    """
    if shell not in SCRIPTS:
        raise UnknownNameError("shell", shell, SCRIPTS)
    for line in SCRIPTS[shell].splitlines():
        say(line)


def words() -> dict[str, Any]:
    """All commands with their options and arguments, and all names in specs with their options."""
    from mull.cli.app import VERBS

    verbs = {name: _command(verb.load(name)) for name, verb in VERBS.items()}
    options = {**HELP, "--version": {"takes": None, "about": "Print the version."}}
    root = {"about": "", "options": options, "arguments": [], "many": False, "verbs": verbs}
    return {"root": root, "specs": _specs()}


def _command(command: Any) -> dict[str, Any]:
    """A command or a group of commands."""
    from typer.core import TyperOption

    node: dict[str, Any] = {
        "about": (command.help or "").partition("\n")[0],
        "options": dict(HELP),
        "arguments": [],
        "many": False,
        "verbs": {name: _command(one) for name, one in getattr(command, "commands", {}).items()},
    }
    for parameter in command.params:
        names = [*parameter.opts, *parameter.secondary_opts]
        if isinstance(parameter, TyperOption):
            about = " ".join((parameter.help or "").split())
            for name in names:
                takes = None if parameter.is_flag else _takes(name.lstrip("-"), parameter)
                node["options"][name] = {"takes": takes, "about": about}
        else:
            node["arguments"].append(_takes(str(parameter.name), parameter))
            node["many"] = parameter.nargs == -1
    return node


def _takes(name: str, parameter: Any) -> Any:
    """What the value of a parameter is: a list of words, `file`, a kind of spec, or other text (an empty word)."""
    if name in ("m", "s"):
        name = parameter.name
    if (kind := getattr(parameter.type_descriptor, "annotation", None)) is Path:
        return "file"
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if name == "what":
        from mull.cli.listing import KINDS

        return [*KINDS, "formats"]
    return VALUES.get(name, "")


def _specs() -> dict[str, dict[str, Any]]:
    from mull import spec
    from mull.errors import UsageError

    tables = {
        "strategy": spec.STRATEGIES,
        "verifier": spec.VERIFIERS,
        "judge": spec.JUDGES,
        "executor": spec.EXECUTORS,
        "model": spec.MODELS,
        "task": spec.TASKS,
    }
    found: dict[str, dict[str, Any]] = {}
    for kind, table in tables.items():
        found[kind] = {}
        for name in [*table, *spec.installed(kind)]:
            try:
                found[kind][name] = _spec(name, spec.found(kind, table, name))
            except UsageError:
                continue  # a package that cannot be imported
    return found


def _spec(name: str, cls: type) -> dict[str, Any]:
    """A name in specs, and what each of its options takes."""
    from mull.spec.grammar import hints_of, is_required

    hints = hints_of(name, cls)
    options = [one for one in fields(cls) if one.init]
    about = (cls.__doc__ or "").strip().partition("\n")[0]
    takes = {one.name: _option(one.name, hints[one.name]) for one in options}
    return {"about": about, "first": next((one.name for one in options if is_required(one)), None), "options": takes}


def _option(name: str, hint: Any) -> Any:
    """What an option in a spec takes, as in `_takes`; several values are `{"of": ...}`."""
    from types import NoneType, UnionType
    from typing import Union

    from mull.run import Strategy
    from mull.types import Judge, Model, Verifier

    if get_origin(hint) in (Union, UnionType):
        hint = next(one for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is tuple:
        return {"of": _option(name, get_args(hint)[0])}
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if hint is bool:
        return ["true", "false"]
    if hint is str:
        return "file" if name in FILE_OPTIONS else VALUES[name] if name in ("kind", "match", "ask") else ""
    return {Strategy: "strategy", Model: "model", Verifier: "verifier", Judge: "judge"}.get(hint, "")
