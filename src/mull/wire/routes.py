"""What the replies of each route look like: how to read a whole one, and one that is streamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mull.wire.anthropic import MessageStream, read_message
from mull.wire.replies import Reply, ReplyChoice, Stream, read_reply
from mull.wire.responses import ResponseStream, read_response

CHAT, COMPLETIONS, MESSAGES, RESPONSES = "/chat/completions", "/completions", "/messages", "/responses"


class Events(Protocol):
    """A reply streamed as events."""

    is_done: bool

    def feed(self, line: bytes) -> ReplyChoice | None:
        """Parses a line; returns the choice that it extended, if any. Raises `Malformed`."""
        ...

    def reply(self) -> Reply:
        """The reply received so far."""
        ...


@dataclass(frozen=True)
class WireFormat:
    """How the replies of a route are read."""

    read: Callable[[bytes], Reply]
    stream: Callable[[], Events]


ROUTES = {
    CHAT: WireFormat(read_reply, Stream),
    COMPLETIONS: WireFormat(read_reply, Stream),
    MESSAGES: WireFormat(read_message, MessageStream),
    RESPONSES: WireFormat(read_response, ResponseStream),
}
