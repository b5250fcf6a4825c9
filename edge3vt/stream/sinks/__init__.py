"""Sinks: what takes composed frames from the loop, one file a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec


class Sink(ABC):
    """Takes every frame that leaves the loop.

    written, dropped: frames so far; final after ``close``. closed: whoever watches has closed it. confirmed: whoever
    watches has said that the region found is right; who takes it sets it back. notice: what the
    status band must say of it, empty when all is well. spec: of the model; set it before the first frame, and when
    the model changes.
    As a context it is closed at the end, and discarded where an error ends the block.
    """

    closed = confirmed = False
    spec: ModelSpec | None = None

    @property
    def notice(self) -> str:
        return ""

    @property
    @abstractmethod
    def written(self) -> int: ...

    @property
    @abstractmethod
    def dropped(self) -> int: ...

    @abstractmethod
    def __call__(self, seg: Segmentation) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Finish the output. Raises DataError where it could not be written; then there is none."""

    def discard(self) -> None:
        """Leave no output behind."""
        self.close()

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, Exception):
            self.discard()
        else:  # an interrupt ends a recording, it does not spoil it
            self.close()
