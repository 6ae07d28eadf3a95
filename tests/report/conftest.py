"""A browser for all pages."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import screenshots

    driver = screenshots.chromium(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
