"""Replies are read whole, however a server frames, packs or splits them, and what is none is told apart."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from mull.wire.faults import Malformed
from mull.wire.posts import HEAD_BYTES, Address, BadAddress, BrokenReply, NoConnection, Posts, RawReply, Turns

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"text": "42"}'
LONG = 60.0


def sized(body: bytes, more: bytes = b"") -> bytes:
    return OK + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Server:
    """Sends the same bytes in answer to each request, then closes the connection if it is told so."""

    def __init__(self, said: bytes, *, closes: bool = False, step: int = 1 << 20) -> None:
        self.said, self.closes, self.step = said, closes, step
        self.asked: list[bytes] = []
        self.n_connections = 0
        self.has_asked, self.gone = asyncio.Event(), asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                told = head.lower().partition(b"content-length:")[2]
                self.asked.append(head + await reader.readexactly(int(told.split(b"\r\n")[0]) if told else 0))
                self.has_asked.set()
                for start in range(0, len(self.said), self.step):
                    writer.write(self.said[start : start + self.step])
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.gone.set()

    @asynccontextmanager
    async def asking(self, most: int = 1000) -> AsyncGenerator[Callable[[], "asyncio.Task[RawReply]"], None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        posts = Posts(connect=LONG)
        to = Address.of("POST", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/x", {"X-Name": "mull"})
        try:
            yield lambda: asyncio.create_task(posts.send(to, b"question", most, LONG))
        finally:
            await posts.close()
            server.close()
            await server.wait_closed()


async def answer(said: bytes, *, closes: bool = False, step: int = 1 << 20, most: int = 1000) -> RawReply:
    async with Server(said, closes=closes, step=step).asking(most) as ask:
        return await ask()


CHUNKED = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:3], BODY[3:])) + b"0\r\n\r\n"
WHOLE = {
    "by length": (sized(BODY), False),
    "by chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED, False),
    "by the end of the connection": (OK + b"\r\n" + BODY, True),
    "in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, True),
    "after another head": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + sized(BODY),
        False,
    ),
    "by gzip": (sized(gzip.compress(BODY), b"Content-Encoding: gzip\r\n"), False),
    "by gzip in two parts": (
        sized(gzip.compress(BODY[:5]) + gzip.compress(BODY[5:]), b"content-encoding: GZip\r\n"),
        False,
    ),
    "by deflate": (sized(zlib.compress(BODY), b"Content-Encoding: deflate\r\n"), False),
    "by bare deflate": (sized(zlib.compress(BODY, wbits=-15), b"Content-Encoding: deflate\r\n"), False),
    "as it is, which is said": (sized(BODY, b"Content-Encoding: identity\r\n"), False),
}


@pytest.mark.parametrize("step", [1 << 20, 1])
@pytest.mark.parametrize("how", WHOLE)
async def test_a_reply_is_read_however_it_is_framed_and_split(how: str, step: int) -> None:
    said, closes = WHOLE[how]
    found = await answer(said, closes=closes, step=step)
    assert (found.status, found.body) == (200, BODY)


async def test_a_request_says_what_it_has_and_its_connection_is_used_again() -> None:
    server = Server(sized(BODY))
    async with server.asking() as ask:
        for _ in range(3):
            assert (await ask()).body == BODY
        assert server.n_connections == 1
        together = await asyncio.gather(ask(), ask())
        assert [one.body for one in together] == [BODY, BODY]
        assert server.n_connections == 2
    lines = server.asked[0].split(b"\r\n")
    assert lines[0] == b"POST /v1/x HTTP/1.1"
    assert {b"X-Name: mull", b"Content-Length: 8"} <= set(lines)
    assert [line for line in lines if line.startswith(b"Host: 127.0.0.1:")]
    assert server.asked[0].endswith(b"\r\n\r\nquestion")


@pytest.mark.parametrize(
    "said", [sized(BODY, b"Connection: close\r\n"), sized(BODY) + b"more than was asked for"], ids=["told", "odd"]
)
async def test_a_connection_that_a_server_gave_up_is_not_used_again(said: bytes) -> None:
    server = Server(said)
    async with server.asking() as ask:
        assert (await ask()).body == BODY
        assert (await ask()).body == BODY
        assert server.n_connections == 2


async def test_a_refusal_comes_with_its_headers() -> None:
    found = await answer(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno")
    assert (found.status, found.headers["retry-after"], found.body) == (429, "7", b"no")


BROKEN = {
    "nothing": (b"", "without a reply"),
    "a part of its head": (OK, "broke off"),
    "a part of its length": (OK + b"Content-Length: 50\r\n\r\n" + BODY, "broke off"),
    "a part of its chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED[:-5], "broke off"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "not HTTP"),
    "broken gzip": (sized(gzip.compress(BODY)[:-9], b"Content-Encoding: gzip\r\n"), "compressed"),
    "no gzip": (sized(BODY, b"Content-Encoding: gzip\r\n"), "compressed"),
    "what nobody asked for": (sized(BODY, b"Content-Encoding: br\r\n"), "not asked for"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_reply_that_cannot_be_read_says_why(what: str) -> None:
    said, why = BROKEN[what]
    with pytest.raises(BrokenReply, match=why):
        await answer(said, closes=True)


MOST = 1000
LARGE = {
    "its length": sized(b"x" * (MOST + 1)),
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (MOST + 1) + b"0\r\n\r\n",
    "packed": sized(gzip.compress(b"x" * 10_000_000), b"Content-Encoding: gzip\r\n"),
    "packed in parts": sized(gzip.compress(b"x" * 600) * 2, b"Content-Encoding: gzip\r\n"),
    "one endless header": OK + b"X: " + b"x" * (3 * HEAD_BYTES),
    "many headers": OK + b"X: y\r\n" * HEAD_BYTES,
    "the end of its chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"X: y\r\n" * HEAD_BYTES,
}


@pytest.mark.parametrize("what", LARGE)
async def test_a_reply_takes_no_more_memory_than_it_may(what: str) -> None:
    with pytest.raises(Malformed, match=rf"larger than (1|50),000 bytes|more than {HEAD_BYTES:,} bytes"):
        await answer(LARGE[what], step=1 << 14, most=50_000 if what == "packed" else MOST)


async def test_a_reply_of_the_most_bytes_is_read() -> None:
    assert len((await answer(sized(b"x" * MOST), most=MOST)).body) == MOST


async def test_a_request_that_is_cancelled_closes_its_connection() -> None:
    server = Server(b"")
    async with server.asking() as ask:
        task = ask()
        await server.has_asked.wait()
        task.cancel()
        await asyncio.wait([task])
        await asyncio.wait_for(server.gone.wait(), LONG)
        assert task.cancelled()


async def test_a_server_that_says_nothing_is_given_up() -> None:
    silent = Server(b"")
    server = await asyncio.start_server(silent._serve, "127.0.0.1", 0)
    posts = Posts(connect=LONG)
    to = Address.of("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    with pytest.raises(TimeoutError):
        await posts.send(to, None, MOST, 0.2)
    await posts.close()
    server.close()
    await server.wait_closed()


async def test_where_nothing_listens_there_is_no_connection() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
    posts = Posts(connect=LONG)
    with pytest.raises(NoConnection) as caught:
        await posts.send(Address.of("GET", url, {}), None, MOST, LONG)
    assert isinstance(caught.value.why, ConnectionRefusedError)
    await posts.close()


@pytest.mark.parametrize(
    ("url", "origin", "lines"),
    [
        ("http://a.example/v1/m?x=1", (False, "a.example", 80), b"GET /v1/m?x=1 HTTP/1.1\r\nHost: a.example\r\n"),
        ("https://a.example:444", (True, "a.example", 444), b"GET / HTTP/1.1\r\nHost: a.example:444\r\n"),
        ("http://[::1]:8000/v1", (False, "::1", 8000), b"GET /v1 HTTP/1.1\r\nHost: [::1]:8000\r\n"),
        ("http://bücher.example/ö", (False, "xn--bcher-kva.example", 80), b"GET /%C3%B6 HTTP/1.1\r\n"),
    ],
)
def test_an_address_is_written_as_http_has_it(url: str, origin: tuple[bool, str, int], lines: bytes) -> None:
    address = Address.of("GET", url, {})
    assert address.origin == origin
    assert address.head.startswith(lines)


@pytest.mark.parametrize("url", ["http://", "http://a:99999/", "/v1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        Address.of("GET", url, {})


class Clock:
    """An event loop as far as `Turns` sees it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ready: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[[], None]) -> None:
        self.ready.append(call)

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for call in ready:
            call()


def test_what_arrived_in_a_busy_turn_may_have_waited_for_it_and_the_one_before() -> None:
    clock = Clock()
    turns = Turns(cast(asyncio.AbstractEventLoop, clock))
    assert turns.lag() == 0  # the loop had nothing to do
    clock.now = 2.0
    assert turns.lag() == 2
    clock.turn()
    clock.now = 5.0
    assert turns.lag() == 5  # two seconds of the turn before, three of this one
    clock.turn()
    assert turns.lag() == 3
    clock.turn()
    clock.turn()
    assert not clock.ready
    clock.now = 100.0
    assert turns.lag() == 0
