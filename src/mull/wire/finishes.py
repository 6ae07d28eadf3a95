"""Why a reply ended: the many names that servers have for it, as those of the chat API."""

from __future__ import annotations

NAMES: dict[str, str] = {
    "length": "max_tokens max_output_tokens model_length token_limit time_limit error_limit "
    "model_context_window_exceeded",
    "tool_calls": "tool_call tool_use function_call",
    "content_filter": "refusal content_filtered guardrail_intervened sensitive safety image_safety recitation "
    "blocklist prohibited_content spii language error_toxic",
    "error": "abort aborted cancelled canceled user_cancel interrupted incomplete not_finished timeout network_error "
    "insufficient_system_resource malformed_function_call",
}
"""Names of the chat API, or `error` for a reply that its server broke off, and what else servers call these."""
_NAMES = {other: name for name, others in NAMES.items() for other in (name, *others.split())}


def finish_name(told: str) -> str:
    """`length`, `tool_calls`, `content_filter` or `error`; `stop` for any other name, as clients take those."""
    return _NAMES.get(told.strip().lower().replace("-", "_").replace(" ", "_"), "stop")


def is_ended(told: str | None) -> bool:
    """Whether a reply ended by itself, or at a stop string."""
    return told is not None and finish_name(told) == "stop"


def is_cut(told: str | None) -> bool:
    """Whether a reply reached its limit, or the end of the context."""
    return told is not None and finish_name(told) == "length"
