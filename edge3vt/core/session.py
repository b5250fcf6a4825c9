"""What an opened engine is: one runtime, one engine, one thread, blocking."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Pixels
from edge3vt.core.spec import ModelSpec

Logits = NDArray[np.float32]


class Session(Protocol):
    """An engine, opened and warm. Used by one thread at a time; the caller owns every buffer."""

    @property
    def spec(self) -> ModelSpec: ...

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        """Fill ``logits`` (1, C, H/s, W/s) and, where the model has it, ``view`` (1, 1) from ``pixels`` (1, 1, H, W).

        Raises EngineError when the engine fails.
        """
        ...

    def close(self) -> None: ...
