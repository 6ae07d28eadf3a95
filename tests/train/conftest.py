"""What the tests of training share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of one thread of torch are the same in every run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
