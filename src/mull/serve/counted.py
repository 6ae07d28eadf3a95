"""Fields by which a server would generate more than the gateway counts, or at another price: they are refused.

Servers have many names for the length and the number of replies, and some let one of them overrule `max_tokens`:
llama.cpp takes `n_predict` and `n_cmpl` before `max_tokens` and `n`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mull.serve.faults import bad
from mull.serve.fields import ChatFields

LENGTHS = frozenset(
    "npredict numpredict maxtokens maxcompletiontokens maxnewtokens maxoutputtokens maxtokenstosample maxgenlen "
    "maxgentoks maxgeneratedtokens maxlength maxtotaltokens tokenstogenerate".split()
)
"""Names of the length of a reply, in small letters alone."""
LEAST_LENGTHS = frozenset({"mintokens", "minnewtokens", "minlength", "mincompletiontokens"})
NUMBERS = frozenset(
    "n bestof ncmpl numreturnsequences numbeams beamwidth numcompletions numgenerations candidatecount "
    "numresults".split()
)
"""Names of the number of replies, or of those of which a server returns a part; 1 is what it does anyway."""
SWITCHES = frozenset({"usebeamsearch", "automaxnewtokens"})
PROMPTS = frozenset({"prompt", "promptembeds", "input", "inputs"})
"""Names of further prompts, each of which has replies of its own."""
MODELS = frozenset({"models", "fallbacks"})
PRICED = frozenset({"websearchoptions", "plugins", "provider", "route"})
"""Names of what has a price of its own, or lets another provider answer, at its price."""
TIERS = (None, "auto", "default", "standard", "standard_only", "flex")
"""Values of `service_tier` that cost what the model costs, or less."""
INSIDE = frozenset(
    "options parameters samplingparams generationconfig generationkwargs modelkwargs extrabody extraargs nvext".split()
)
"""Names of objects that hold such fields for some servers."""


def check_counted(fields: ChatFields, names: Mapping[str, str]) -> None:
    """Raises `ApiError` for the first such field of a request, with the one to use in its place.

    `names` are those of a chat's fields in the form of the request, where they differ.
    """
    for name, value in (fields.__pydantic_extra__ or {}).items():
        _check(name, value, name, names)


def check_least(fields: ChatFields, most: int) -> None:
    """Raises `ApiError` for a least length of a reply above the most tokens that it may have."""
    for name, value in (fields.__pydantic_extra__ or {}).items():
        if _plain(name) in LEAST_LENGTHS and isinstance(value, int | float) and value > most:
            raise bad(name, f"must be at most {most:,}, the tokens that the reply may have")


def check_priced(fields: ChatFields) -> None:
    """Raises `ApiError` for the first field of a request that would make it cost more than the model's prices say."""
    for name, value in fields.rest.items():
        _check_price(name, value, name)


def _check_price(name: str, value: Any, path: str) -> None:
    kind = _plain(name)
    is_dearer = (kind in PRICED and value is not None) or (kind == "servicetier" and value not in TIERS)
    if is_dearer:
        what = "must be left out: it has another price than the one by which the ceiling on dollars is kept"
        raise bad(path, what, "unknown_parameter")
    if kind in INSIDE and isinstance(value, Mapping):
        for inner, one in value.items():
            _check_price(inner, one, f"{path}.{inner}")


def _check(name: str, value: Any, path: str, names: Mapping[str, str]) -> None:
    if value is None:
        return
    kind = _plain(name)
    if kind in LENGTHS:
        use = names.get("max_completion_tokens", "max_tokens")
        raise bad(path, f"is not the length that the gateway counts: use {use}", "unknown_parameter")
    if kind in NUMBERS and value != 1:
        raise bad(path, "is not the number of replies that the gateway counts: use n", "unknown_parameter")
    if kind in SWITCHES and value is not False:
        what = "makes the server generate more than the gateway counts: use n, or a preset as in MODEL@PRESET"
        raise bad(path, what, "unknown_parameter")
    if kind in PROMPTS:
        use = names.get("messages", "messages")
        raise bad(path, f"would be a further prompt, which the gateway does not count: use {use}", "unknown_parameter")
    if kind in MODELS:
        raise bad(path, "would let another model answer, at another price: use model", "unknown_parameter")
    if kind in INSIDE:
        if isinstance(value, str):
            raise bad(path, "must be an object")
        if isinstance(value, Mapping):
            for inner, one in value.items():
                _check(inner, one, f"{path}.{inner}", names)


def _plain(name: str) -> str:
    """A name without what spellings differ in: `maxNewTokens` and `max_new_tokens` are one."""
    return name.replace("_", "").replace("-", "").lower()
