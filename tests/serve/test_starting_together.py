"""Gateways that start at the same time over one empty database."""

import threading

import sqlalchemy as sa

from mull.errors import BankError
from mull.serve import accounts as accounts_module
from mull.serve.accounts import Accounts


def test_gateways_that_start_at_once_over_an_empty_postgresql_make_its_tables_once(postgres_url: str) -> None:
    """The first to miss the tables goes on only once the other misses them too, or waits for a lock."""
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    waiting = sa.text("select count(*) from pg_locks where not granted")
    n_missed, errors = 0, list[BankError]()

    def before_create(*_: object, **__: object) -> None:
        nonlocal n_missed
        n_missed += 1
        with engine.connect() as on:
            while n_missed < 2 and not on.execute(waiting).scalar():
                on.rollback()

    def start() -> None:
        try:
            Accounts(postgres_url).close()
        except BankError as error:
            errors.append(error)

    sa.event.listen(accounts_module.rows, "before_create", before_create)
    try:
        starting = [threading.Thread(target=start) for _ in range(2)]
        for one in starting:
            one.start()
        for one in starting:
            one.join()
    finally:
        sa.event.remove(accounts_module.rows, "before_create", before_create)
        engine.dispose()
    assert errors == []
    assert n_missed == 1
