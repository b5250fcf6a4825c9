"""A network stream through PyAV: what has arrived, as it is decoded, luma as it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av

from edge3vt.core.clock import Clock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Region
from edge3vt.picture.clip import DEFAULT_RATE_HZ, check_size
from edge3vt.picture.decoded import laid_out
from edge3vt.stream.sources.raw import Tally, checked_region

OPEN_S, READ_S = 5.0, 2.0
"""How long connecting and each read may take; FFmpeg itself would wait for ever."""
OPTIONS = {
    "rtsp_transport": "tcp",  # a lost packet of UDP spoils every picture up to the next key picture
    "fflags": "nobuffer",
    "flags": "low_delay",
    "max_delay": "0",
    "analyzeduration": "500000",
    "protocol_whitelist": "rtsp,rtp,tcp,udp,crypto",
}


class RtspSource:
    """The video of an rtsp:// URL. captured_ns: when a picture's data had arrived; the sender's time is not ours.

    Connects at once and waits for the first picture. Raises DataError when nothing answers in OPEN_S, when nothing
    comes for READ_S, and at the end of the stream. Pictures that the decoder finds damaged are counted, not given.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        transport: str = "tcp",
        region: Region | None = None,
        mm_per_px: float | None = None,
    ) -> None:
        self._shown, self._clock, self._region, self._mm_per_px = without_password(url), clock, region, mm_per_px
        self.name, self.frames, self.notes = self._shown, None, ("times are those of arrival",)
        self.tally = Tally()
        self._container: Any = None
        try:
            self._container = av.open(url, options=OPTIONS | {"rtsp_transport": transport}, timeout=(OPEN_S, READ_S))
        except (av.error.FFmpegError, OSError) as error:
            raise self._lost("cannot be opened", error) from error
        try:
            if not self._container.streams.video:
                raise DataError(f"{self._shown}: holds no video; expected a stream with a picture")
            stream = self._container.streams.video[0]
            stream.codec_context.thread_count = 1  # more would hold back a picture each
            self.rate_hz = float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE_HZ)
            self._arrived = self._arrivals(stream)
            self._first = next(self._arrived, None)
            if self._first is None:
                raise DataError(f"{self._shown}: ended before its first picture; check the sender")
            picture = self._first[0]
            self.width, self.height = picture.width, picture.height
            check_size(self.width, self.height, self._shown)
            checked_region(region, self.width, self.height, self._shown)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        """Once; then it is closed."""
        if self._container is None:  # a closed container must not be read: FFmpeg would crash
            return
        size, epoch, index = (self.width, self.height), 0, 0
        first, self._first = self._first, None
        try:
            while (arrived := first or next(self._arrived, None)) is not None:
                (picture, captured_ns), first = arrived, None
                if (picture.width, picture.height) != size:
                    size, epoch = (picture.width, picture.height), epoch + 1
                    check_size(*size, self._shown)
                pixels, layout, full_range = laid_out(picture)
                yield Frame(
                    index=index,
                    captured_ns=captured_ns,
                    pixels=pixels,
                    layout=layout,
                    full_range=full_range,
                    epoch=epoch,
                    region=self._region,
                    mm_per_px=self._mm_per_px,
                )
                index += 1
        finally:
            self.close()

    def close(self) -> None:
        """Hang up."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _arrivals(self, stream: Any) -> Iterator[tuple[Any, int]]:
        """Decoded pictures with the time when their data was there; ends with the stream."""
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:
                raise self._lost("nothing comes any more", error) from error
            arrived_ns = self._clock.now_ns()
            if packet.is_corrupt:
                self.tally.add("packet damaged")
                continue
            pictures: list[Any] = []
            try:
                pictures = packet.decode()
            except av.error.FFmpegError:
                self.tally.add("not decodable")
            for picture in pictures:
                if picture.is_corrupt:
                    self.tally.add("picture damaged")
                else:
                    yield picture, arrived_ns

    def _lost(self, what: str, error: BaseException) -> DataError:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        return DataError(f"{self._shown}: {what} ({why}); check address, network and sender")


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    with suppress(ValueError):
        rest = rest[rest[: rest.index("/") if "/" in rest else len(rest)].rindex("@") + 1 :]
    return f"{scheme}{separator}{rest}"
