"""The exceptions of mull.

MullError
├── UsageError (ValueError)      the request is invalid; nothing was spent
│   ├── UnknownNameError         no such strategy, option, model, task ...; names the nearest
│   ├── FileFormatError          a file is malformed; names the file and the line
│   ├── PromptError              the model cannot read the prompt, or the prompt is too long
│   ├── ParamError               a parameter of the draws does not fit what is done with them
│   ├── SetupError               a server, or its key, is set up wrongly: another request would fare no better
│   └── MissingExtraError        a package is not installed; names the extra of mull that installs it
├── BankError (OSError)          the bank cannot be read or written
│   ├── BankVersionError         the bank was made by another version
│   └── BankAwayError            the bank's database is temporarily unavailable; nothing is lost
├── OutputError (OSError)        a result cannot be written to its file
├── ModelError (RuntimeError)    the model failed; draws finished before are kept
├── SandboxError (RuntimeError)  untrusted code could not be run safely, so it was not run
│   └── NoSandboxError           this machine has no sandbox of the required level; says what to install
├── UnreadableError (ValueError) nothing in a file can be read as an answer, so no figure would mean anything
└── VerifierError (RuntimeError) a verifier or judge cannot tell right from wrong, or could not decide
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable
from pathlib import Path


class MullError(Exception):
    """Base class of the errors that mull raises on purpose."""


class UsageError(MullError, ValueError):
    """The request is invalid; nothing was spent."""


def cut(text: str, most: int = 1_000) -> str:
    """A text of at most about `most` characters: of a longer one, such as a message that quotes a file, both ends."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-most // 3 :]}"


class UnknownNameError(UsageError):
    """A name is not in the table it was looked up in; the message suggests the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], meant: str | None = None) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.55) if meant is None else [meant]
        hint = f"did you mean {near[0]!r}?" if near else "known: " + (", ".join(known) or "none")
        super().__init__(cut(f"unknown {kind} {cut(name, 200)!r}: {hint}"))


class FileFormatError(UsageError):
    """A file is malformed; the message names the file and the line."""

    def __init__(self, path: object, line: int | None, what: str) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {cut(what)}")


def cannot_read(path: Path, error: Exception, line: int | None = None) -> FileFormatError:
    """The error for a file that cannot be read: says why, and which file of a similar name is there."""
    if isinstance(error, FileNotFoundError):
        return FileFormatError(path, line, f"there is no such file{nearest(path)}")
    if isinstance(error, IsADirectoryError):
        return FileFormatError(path, line, "is a folder: name a file in it")
    reason = getattr(error, "strerror", None) or error
    return FileFormatError(path, line, f"cannot be read: {reason}")


def nearest(path: Path) -> str:
    """What a message on a missing file ends with: the file of a similar name, or the folder that was searched."""
    folder = path.parent
    if not folder.is_dir():
        return f": there is no folder {str(folder)!r} either"
    try:
        names = [one.name for one in itertools.islice(folder.iterdir(), 10_000)]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"; did you mean {str(folder / near[0])!r}?" if near else f" in {str(folder.absolute())!r}"


class PromptError(UsageError):
    """The model cannot read the prompt, or the prompt is too long."""


class ParamError(UsageError):
    """A parameter of the draws does not fit what is done with them; `param` is its name in `Params`."""

    def __init__(self, param: str, what: str) -> None:
        super().__init__(what)
        self.param = param


class SetupError(UsageError):
    """A server, or its key, is set up wrongly, so that no request can be answered by it."""


class MissingExtraError(UsageError):
    """A package is not installed; the message names the extra of mull that installs it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}: {install(extra)}")


def install(extra: str) -> str:
    """The command that installs an extra of mull; mull itself is installed from a checkout."""
    return f"pip install '.[{extra}]' in mull's checkout"


class UnreadableError(MullError, ValueError):
    """Nothing in a file can be read as an answer, so every figure computed from it would be a meaningless zero."""


class BankError(MullError, OSError):
    """The bank cannot be read or written; what it holds is kept."""


class BankVersionError(BankError):
    """The bank was made by a version of mull with another schema."""


class BankAwayError(BankError):
    """The bank's database is temporarily unreachable; retry after `pause` seconds. No waiting writes are lost."""

    def __init__(self, what: str, pause: float) -> None:
        super().__init__(what)
        self.pause = pause


class OutputError(MullError, OSError):
    """A result cannot be written to its file; draws are in the bank."""


class ModelError(MullError, RuntimeError):
    """The model failed; draws that were finished before are in the bank.

    `wait` is the number of seconds after which its server asks to come back; `None`: it does not say.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class SandboxError(MullError, RuntimeError):
    """The sandbox failed; this says nothing about the program that was to run in it."""


class NoSandboxError(SandboxError):
    """This machine has no sandbox of the required level; nothing was run, and the message says what to install."""


class VerifierError(MullError, RuntimeError):
    """A verifier or judge cannot tell right from wrong, or could not decide."""
