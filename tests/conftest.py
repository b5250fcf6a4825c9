from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from edge3vt.engine.keyring import VARIABLE

# The same examples on every run, and no deadline on a busy machine: a red check is a red check again.
settings.register_profile("edge3vt", deadline=None, derandomize=True, database=None)
settings.load_profile("edge3vt")


@pytest.fixture(scope="session", autouse=True)
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the keys of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("keys")))
        yield
