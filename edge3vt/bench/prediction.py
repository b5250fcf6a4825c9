"""What a model makes of a still picture: seen whole, looked at closer, or closer where an oracle says."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Session
from edge3vt.picture.crop import acquire, cut, track
from edge3vt.picture.mask import make_mask, place

Mode = Literal["whole", "track", "truth"]


class Sight:
    """A model that looks at pictures in one mode. Used by one thread.

    whole: the acquire square. track: a second pass, on the square around what ``locator`` (the model itself, where
    None) found in the acquire square. truth: the square around the true mask, an oracle. Where there is nothing to
    look closer at, the mask is that of the acquire square.
    """

    def __init__(self, session: Session, mode: Mode, locator: Session | None = None) -> None:
        self.mode = mode
        self._near = _Eye(session)
        self._far = self._near if locator is None else _Eye(locator)

    @property
    def size(self) -> int:
        """The side of the model's input, in px."""
        return self._near.size

    def whole(self, frame: Frame) -> Crop:
        """The acquire square, at the model's size."""
        return acquire(frame, self._near.size)

    def mask(self, frame: Frame, truth: Mask | None) -> Mask:
        """The (H, W) mask of a frame; its truth is for the oracle."""
        crop = self._crop(frame, truth) or self.whole(frame)
        return place(self._near.mask(frame, crop), crop, (frame.height, frame.width))

    def _crop(self, frame: Frame, truth: Mask | None) -> Crop | None:
        size = self._near.size
        if self.mode == "track":
            far = acquire(frame, self._far.size)
            return track(self._far.mask(frame, far), far, frame.bounds, size, frame.mm_per_px)
        if self.mode == "truth" and truth is not None:
            own = Crop(0, 0, frame.width, frame.width)  # a mask pixel is a pixel of the frame
            return track(truth, own, frame.bounds, size, frame.mm_per_px)
        return None


class _Eye:
    """A session with its buffers."""

    def __init__(self, session: Session) -> None:
        spec = session.spec
        self._session, self.size, self._stride = session, spec.width, spec.stride
        self._pixels = np.zeros(spec.input_shape, dtype=np.uint8)
        self._logits = np.zeros(spec.logits_shape, dtype=np.float32)

    def mask(self, frame: Frame, crop: Crop) -> Mask:
        cut(frame, crop, self._pixels[0, 0])
        self._session.run(self._pixels, self._logits)
        return make_mask(self._logits, self._stride)[0]
