"""Requests as bytes on a connection: what is odd about a head is refused, and a body that is not read ends it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from mull.serve import app, listen

Make = Callable[..., Any]
BODY = b'{"model":"nano","max_tokens":3,"messages":[{"role":"user","content":"a:7;b:a*6;b?"}]}'
POST = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def exchange(url: str, data: bytes, *, more: bytes = b"") -> tuple[int, dict[str, str], Any, bool]:
    """Status, headers and JSON of the reply to bytes, and whether the gateway then ends the connection.

    `more` is sent after the reply, as by a client that goes on with a body.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        told = json.loads(await reader.readexactly(int(headers["content-length"])))
        is_last = headers.get("connection") == "close"
        if more:
            writer.write(more)
        if is_last:
            assert await reader.read() == b""  # it is ended, or this waits for ever
        else:
            writer.write(MODELS)
            assert (await reader.readline()).startswith(b"HTTP/1.1 ")
        return int(head[0].split()[1]), headers, told, is_last
    finally:
        writer.close()


async def test_a_body_that_is_not_read_ends_the_connection(gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reply is, and however the length of the body is told; one that was read does not."""
    monkeypatch.setattr(app, "BODY_SECONDS", 0.2)
    chat = POST % b"/v1/chat/completions"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    cases = {
        chat + b"Content-Length: 100\r\n\r\n{": 408,
        chat + chunked + b"1\r\n{\r\n": 408,
        chat + b"Content-Length: 5000\r\n\r\n": 413,
        chat + chunked + b"bb8\r\n" + b" " * 3000 + b"\r\n": 413,
        POST % b"/v1/nothing" + b"Content-Length: 100\r\n\r\n{": 404,
        chat.replace(b"POST", b"PUT") + b"Content-Length: 100\r\n\r\n{": 405,
        chat.replace(b"application/json", b"text/plain") + b"Content-Length: 100\r\n\r\n{": 415,
        chat.replace(b"localhost", b"example.org") + b"Content-Length: 100\r\n\r\n{": 403,
    }
    async with gateway("[serve]\nbody_bytes = 2000", "nano") as served:
        for data, expected in cases.items():
            status, headers, told, is_last = await exchange(served.url, data, more=b" " * 50)
            assert (status, is_last) == (expected, True), (data, told)
            assert told["error"]["message"]
            assert headers["x-should-retry"] == "false"
        for path, expected in ((b"/v1/chat/completions", 200), (b"/v1/completions", 400)):
            status, _, _, is_last = await exchange(served.url, POST % path + WHOLE)
            assert (status, is_last) == (expected, False)


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" " * 1000)
        await writer.drain()
        await asyncio.sleep(0)


async def test_a_client_that_never_stops_is_hung_up_on(gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "LINGER_SECONDS", 0.1)
    async with gateway("[serve]\nbody_bytes = 2000", "nano") as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(POST % b"/v1/chat/completions" + b"Transfer-Encoding: chunked\r\n\r\nbb8\r\n" + b" " * 3000)
        assert b"413" in await reader.readline()
        await reader.read()  # the gateway has said all
        with pytest.raises(ConnectionError):
            await send_for_ever(writer)
        writer.close()


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (MODELS.replace(b"\r\n\r\n", b"\r\nHost: example.org\r\n\r\n"), 400, "one Host header, not 2"),
        (MODELS.replace(b"\r\n\r\n", b"\r\nHost: localhost\r\n\r\n"), 400, "one Host header, not 2"),
        (MODELS.replace(b"Host: localhost\r\n", b""), 400, "one Host header, not 0"),
        (MODELS, 200, ""),
        (
            POST % b"/v1/chat/completions" + b"Content-Encoding: gzip\r\n" + WHOLE,
            415,
            "content-encoding must be identity",
        ),
        (POST % b"/v1/messages" + b"Content-Encoding: br\r\n" + WHOLE, 415, "content-encoding must be identity"),
        (POST % b"/v1/chat/completions" + b"Content-Encoding: Identity\r\n" + WHOLE, 200, ""),
    ],
)
async def test_heads(gateway: Make, data: bytes, status: int, words: str) -> None:
    async with gateway("", "nano") as served:
        got, _, told, _ = await exchange(served.url, data)
    assert got == status
    if words:
        assert words in told["error"]["message"]
        assert told["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/messages/batches", "/v1/messages/"])
async def test_paths_under_messages_answer_in_its_form(gateway: Make, path: str) -> None:
    async with gateway("", "nano") as served:
        status, _, told, _ = await exchange(served.url, POST % path.encode() + WHOLE)
        assert (status, told["type"], told["error"]["type"]) == (404, "error", "not_found_error")
        status, _, told, _ = await exchange(served.url, POST % b"/v1/message" + WHOLE)
        assert (status, told["error"]["code"]) == (404, "not_found")


async def test_a_completion_has_one_id(gateway: Make) -> None:
    async with gateway("", "nano") as served:
        stream = await served.client.completions.create(model="nano", prompt="a:7;b:a*6;b?", stream=True)
        ids = {chunk.id async for chunk in stream}
        whole = await served.client.completions.create(model="nano", prompt="a:7;b:a*6;b?")
    assert len(ids) == 1
    assert all(id.startswith("cmpl-") for id in (*ids, whole.id))
