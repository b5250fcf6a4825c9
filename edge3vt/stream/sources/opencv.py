"""A capture card through OpenCV: the fallback where linuxpy is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from edge3vt.core.clock import Clock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Layout
from edge3vt.core.lock import Claim
from edge3vt.picture.clip import check_size
from edge3vt.stream.sources.raw import Tally, checked_region
from edge3vt.stream.sources.v4l2 import Capture, check_device


class OpenCvSource:
    """BGR pictures with the time at which OpenCV had them, later than the kernel's; read in order, then closed.

    OpenCV tells neither of interlaced signals and ranges nor of pictures that the driver marked as bad, and blocks when
    nothing comes. Raises DataError when the device cannot be opened or read on, BackendMissingError when another
    process holds it.
    """

    backend = cv2.CAP_V4L2

    def __init__(self, asked: Capture, clock: Clock) -> None:
        self.name = check_device(asked)
        self._asked, self._clock, self.frames = asked, clock, None
        self.tally = Tally()
        self.notes: tuple[str, ...] = (
            "read through OpenCV, with times of arrival; pip install 'edge3vt[v4l2]' for the kernel's",
        )
        self._claim = Claim(f"capture device {asked.device.resolve()}")
        self._capture: Any = cv2.VideoCapture(str(asked.device), self.backend)
        try:
            if not self._capture.isOpened():
                raise DataError(
                    f"{self.name}: cannot be opened; check that it is a capture device, and who else uses it"
                )
            self._ask()
            self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
            self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            self.rate_hz = float(self._capture.get(cv2.CAP_PROP_FPS)) or asked.rate_hz or 60.0
            check_size(self.width, self.height, self.name)
            checked_region(asked.region, self.width, self.height, self.name)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        size, epoch, index = (self.width, self.height), 0, 0
        try:
            while self._capture.grab():
                captured_ns = self._clock.now_ns()
                sound, picture = self._capture.retrieve()
                if not sound:
                    self.tally.add("not decodable")
                    continue
                pixels = np.asarray(picture, dtype=np.uint8)
                pixels.flags.writeable = False
                if (pixels.shape[1], pixels.shape[0]) != size:
                    size, epoch = (pixels.shape[1], pixels.shape[0]), epoch + 1
                yield Frame(
                    index=index,
                    captured_ns=captured_ns,
                    pixels=pixels,
                    layout=Layout.BGR,
                    epoch=epoch,
                    region=self._asked.region,
                    mm_per_px=self._asked.mm_per_px,
                )
                index += 1
            raise DataError(f"{self.name}: gives no pictures any more; check the cable")
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()
        self._claim.close()

    def _ask(self) -> None:
        asked = self._asked
        wishes = {
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*asked.pixel_format) if asked.pixel_format else 0,
            cv2.CAP_PROP_FRAME_WIDTH: asked.width,
            cv2.CAP_PROP_FRAME_HEIGHT: asked.height,
            cv2.CAP_PROP_FPS: asked.rate_hz,
            cv2.CAP_PROP_BUFFERSIZE: 1,
        }
        for wish, value in wishes.items():
            if value:
                self._capture.set(wish, value)
