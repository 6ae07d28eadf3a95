"""`mull serve`: the gateway."""

from __future__ import annotations

import json
from contextlib import ExitStack
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
    accounts: Annotated[
        str | None,
        typer.Option("--accounts", help="File or database URL with what keys have spent. [default: beside the bank]"),
    ] = None,
    new_key: Annotated[
        str | None, typer.Option("--new-key", help="Print a new key of this name, and its lines for mull.toml.")
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
    from mull.serve import keys
    from mull.serve.accounts import Accounts, default_url
    from mull.serve.offer import Offer

    if new_key is not None:
        key = keys.new_key()
        for line in (key, "", f"[serve.keys.{json.dumps(new_key)}]", f'sha256 = "{keys.hash_of(key)}"'):
            say(line)
        return
    offer = Offer(model or (), config)
    tables = offer.serve.keys.values()
    if not tables and not listen.is_loopback(host):
        what = f"--host {host} would let other machines in, and there are no keys"
        raise UsageError(f"{what}: make one with --new-key NAME and put its lines into mull.toml")
    with ExitStack() as stack:
        bank_opened = stack.enter_context(bank_at(bank or "none"))
        kept = Accounts(accounts or default_url()) if any(map(keys.is_budgeted, tables)) else None
        if kept is not None:
            stack.callback(kept.close)
        listen.allow_connections()
        listening = stack.enter_context(listen.bound(host, port))
        place = f"[{host.strip('[]')}]" if ":" in host else host
        say(f"http://{place}:{listening.getsockname()[1]}/v1 offers {', '.join(offer.entries)}")
        listen.server(Gateway(offer, bank_opened, kept)).run([listening])
