"""`mull serve`: the gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from mull.cli.options import ConfigOption, bank_at
from mull.cli.output import say
from mull.errors import MissingExtraError, UsageError


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A model to offer, as in mull.toml or built in; several times for several."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="The port; 0 is any free one.")] = 8642,
    bank: Annotated[
        str | None,
        typer.Option("--bank", help="File or database URL of a bank that keeps every draw. [default: none is kept]"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Answer OpenAI's clients, with test-time scaling behind the API that they speak.

    A model is passed through by its name, and thinks harder as MODEL@PRESET: presets are tables [presets.NAME] of
    mull.toml, or auto and majority-16 where it has none. Point a client at the URL that is printed.

    Example: mull serve --model nano --port 8642
    """
    try:
        from mull.serve import listen
        from mull.serve.app import Gateway
    except ModuleNotFoundError as error:
        raise MissingExtraError("the gateway", error.name or "starlette", "serve") from None
    from mull.serve.offer import Offer

    if not listen.is_loopback(host):
        raise UsageError(f"--host {host} would let other machines in, and there are no keys: leave --host out")
    offer = Offer(model or (), config)
    with bank_at(bank or "none") as opened, listen.bound(host, port) as listening:
        place = f"[{host.strip('[]')}]" if ":" in host else host
        say(f"http://{place}:{listening.getsockname()[1]}/v1 offers {', '.join(offer.entries)}")
        listen.server(Gateway(offer, opened)).run([listening])
