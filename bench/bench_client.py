"""Processor time of a whole sweep against a server that answers after 200 ms, beside an older revision.

python bench/bench_client.py [--before REVISION] [--draws 100] [--at-once 256 1024]

One draw a request: the server refuses more. A sweep takes the client, the bank, the vote and the grades; what the same
command takes for a single draw is taken off, so that its start does not count. The last table shows how soon the
client works at its best rate with so many requests at once, and with `single` too, which asks one draw of a problem.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_openai import Server
from bench_speed import BEFORE, ROOT, used

N_PROBLEMS = 64
DELAY = 0.2


class TimedServer(Server):
    """Answers after `DELAY`, one reply a request; a line on standard output for each reply, with the time."""

    def _answer(self, head: bytes, body: bytes) -> None:
        asyncio.get_running_loop().call_later(DELAY, self._answer_now, head, body)

    def _answer_now(self, head: bytes, body: bytes) -> None:
        if self._transport.is_closing():
            return
        if head.startswith(b"post"):
            print(f"{time.monotonic():.3f}")
            if json.loads(body).get("n", 1) > 1:
                raw = json.dumps({"error": {"message": "n must be 1", "param": "n"}}).encode()
                told = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw)
                self._transport.write(b"HTTP/1.1 400 Bad Request\r\n" + told + raw)
                return
        super()._answer(head, body)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(TimedServer, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


class Sweeps:
    """Sweeps with the mull of several sources; each has a bank and a memory of servers of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n = 0

    def seconds(self, source: Path, at_once: int, n_problems: int, *strategies: str) -> tuple[float, list[float]]:
        """Processor seconds of a sweep, and the times of the replies it got."""
        self.n += 1
        place = self.folder / str(self.n)
        place.mkdir()
        replies = place / "replies.txt"
        with (
            replies.open("w") as told,
            subprocess.Popen([sys.executable, __file__, "--serve"], stdout=told, text=True) as server,
        ):
            while not (url := replies.read_text().partition("\n")[0]):
                time.sleep(0.05)
            (place / "mull.toml").write_text(f'[models.m]\nbase_url = "{url}"\nmodel = "m"\nconcurrency = {at_once}\n')
            rows = [{"id": f"p{i}", "question": f"What is 6 times {i}?", "answer": "42"} for i in range(n_problems)]
            (place / "task.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            words = ["sweep", "file:task.jsonl", "--config", "mull.toml", "--model", "m", "--bank", "bank.db", "--json"]
            words += [word for strategy in strategies for word in ("-s", strategy)]
            os.environ["XDG_CACHE_HOME"] = str(place)
            spent, _ = used([*words, "-t", "0.8", "--max-tokens", "100"], source, place)
            server.terminate()
        return spent, [float(line) for line in replies.read_text().splitlines()[1:]]


def a_draw(sweeps: Sweeps, source: Path, at_once: int, n: int) -> float:
    """Processor milliseconds that a draw takes beside the start of the command."""
    start = min(sweeps.seconds(source, at_once, 1, "single")[0] for _ in range(3))
    whole, _ = sweeps.seconds(source, at_once, N_PROBLEMS, f"majority:n={n}")
    return 1e3 * (whole - start) / (N_PROBLEMS * n - 1)


def best_after(times: list[float]) -> tuple[float, float, float]:
    """Seconds from the first reply until half a second has .8 of the best rate, that rate, and all seconds."""
    first, width = times[0], 0.5
    counts: dict[int, int] = {}
    for at in times:
        counts[int((at - first) / width)] = counts.get(int((at - first) / width), 0) + 1
    best = max(counts.values())
    return min(place for place, n in counts.items() if n >= 0.8 * best) * width, best / width, times[-1] - first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--before", default=BEFORE, help="the revision beside today's")
    parser.add_argument("--draws", type=int, default=100, help="draws of each problem")
    parser.add_argument("--at-once", type=int, nargs="+", default=[256, 1024])
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    with tempfile.TemporaryDirectory() as made:
        folder, before = Path(made), Path(made, "before")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(before), given.before], check=True)
        try:
            sweeps = Sweeps(folder)
            for source in (before / "src", ROOT / "src"):
                sweeps.seconds(source, 1, 1, "single")  # compiles
            print(f"{'':28} {'before':>9} {'now':>9} {'ratio':>6}")
            for at_once in given.at_once:
                old, new = (a_draw(sweeps, source, at_once, given.draws) for source in (before / "src", ROOT / "src"))
                print(f"a draw, {at_once:5} at once {old:15.3f} ms {new:6.3f} ms {new / old:6.2f}", flush=True)
            most = max(given.at_once)
            for strategy, n in ((f"majority:n={given.draws}", N_PROBLEMS), ("single", N_PROBLEMS * given.draws)):
                for name, source in (("before", before / "src"), ("now", ROOT / "src")):
                    after, rate, whole = best_after(sweeps.seconds(source, most, n, strategy)[1])
                    what = f"{strategy}, {name}: .8 of the best rate ({rate:.0f} draws a second)"
                    print(f"{what} after {after:.1f} s; all replies in {whole:.1f} s", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)


if __name__ == "__main__":
    main()
