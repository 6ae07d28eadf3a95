"""What can go wrong, as one tree.

MullError
├── UsageError (ValueError)      what was asked for makes no sense; nothing was spent
│   ├── UnknownNameError         no such strategy, option, model, task ...; names the nearest
│   ├── FileFormatError          a file is malformed; names the file and the line
│   ├── PromptError              the model cannot read the prompt, or it is too long
│   └── MissingExtraError        a package is not installed; names the extra of mull that brings it
├── BankError (OSError)          the bank cannot be read or written
│   ├── BankVersionError         the bank was made by another version
│   └── BankAwayError            the bank's database is away for now; nothing is lost
├── ModelError (RuntimeError)    the model failed; what was drawn before is kept
├── SandboxError (RuntimeError)  untrusted code could not be run safely, so it was not run
│   └── NoSandboxError           this machine has no sandbox of the level asked for; says what to install
├── UnreadableError (ValueError) nothing in a file can be read as an answer: figures would say nothing
└── VerifierError (RuntimeError) a verifier or judge does not know right from wrong, or cannot tell
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MullError(Exception):
    """Any error that mull raises on purpose."""


class UsageError(MullError, ValueError):
    """What was asked for makes no sense; nothing was spent."""


class UnknownNameError(UsageError):
    """A name that is not in the table it was looked up in."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "known: " + (", ".join(known) or "none")
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class FileFormatError(UsageError):
    """A malformed file; says where."""

    def __init__(self, path: object, line: int | None, what: str) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {what}")


class PromptError(UsageError):
    """A prompt that the model cannot take."""


class MissingExtraError(UsageError):
    """A package that is not installed; says which extra of mull brings it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}: {install(extra)}")


def install(extra: str) -> str:
    """How an extra of mull is installed; mull itself is installed from a checkout."""
    return f"pip install '.[{extra}]' in mull's checkout"


class UnreadableError(MullError, ValueError):
    """Nothing in a file can be read as an answer, so that every figure of it would be an empty zero."""


class BankError(MullError, OSError):
    """The bank cannot be read or written; what it holds is kept."""


class BankVersionError(BankError):
    """The bank was made by a version of mull with another schema."""


class BankAwayError(BankError):
    """The bank's database cannot be reached for now: ask again after `pause` seconds. What was to be kept is kept."""

    def __init__(self, what: str, pause: float) -> None:
        super().__init__(what)
        self.pause = pause


class ModelError(MullError, RuntimeError):
    """The model failed; draws that were finished before are in the bank."""


class SandboxError(MullError, RuntimeError):
    """The sandbox failed, which says nothing about the program that was to run in it."""


class NoSandboxError(SandboxError):
    """This machine has no sandbox of the level asked for; nothing was run, and the message says what to install."""


class VerifierError(MullError, RuntimeError):
    """A verifier or judge that does not know right from wrong, or could not tell."""
