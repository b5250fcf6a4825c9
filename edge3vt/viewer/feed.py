"""What a browser is sent of a picture: its facts as JSON, the picture as JPEG, and the mask only if it is shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.documents import to_json
from edge3vt.core.frame import Frame, Layout
from edge3vt.core.segmentation import Mask, Segmentation
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.band import NOT_FOR_DIAGNOSIS, state_text
from edge3vt.picture.blank import blanked
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.draw import DRAWN_IN, NORMAL_PERIODS, OLDEST_SHOWN_MS, Period
from edge3vt.picture.outline import colour_of

JPEG_QUALITY = 90
SIZES = struct.Struct("<II")
"""Little-endian: bytes of the facts, bytes of the JPEG; both follow, and the mask's runs to the end."""
_LONGEST_RUN = (1 << 24) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """A Segmentation on its way to the browsers.

    count: how many there were up to it; a gap is a drop. left_ns: when the loop gave it out.
    """

    seg: Segmentation
    spec: ModelSpec | None
    count: int
    left_ns: int


class Feed:
    """Messages of one run, in order. lan: others than this machine may look, so what lies outside the region is black.

    It trusts nobody about a mask's age: one older than is ever drawn, or of a later frame, is not sent.
    """

    def __init__(self, *, lan: bool = False) -> None:
        self._lan = lan
        self._period = Period()
        self._last: tuple[int, int] | None = None

    def message(self, parcel: Parcel, now_ns: int) -> bytes:
        """The message of a picture, which is the same for every client."""
        seg = parcel.seg
        frame = blanked(seg.frame) if self._lan else seg.frame
        if (frame.epoch, frame.captured_ns) != self._last:
            self._last = frame.epoch, frame.captured_ns
            self._period.add(frame)
        doubt = doubt_of(seg) if seg.shown else seg.withheld
        drawn = seg.mask if seg.shown and not doubt and seg.crop is not None else None
        facts = self._facts(parcel, None if drawn is None else drawn.shape[0], doubt)
        facts["waited_ms"] = (now_ns - parcel.left_ns) / NS_PER_MS
        text = to_json(facts, indent=None).encode()
        picture = encoded(frame)
        return b"".join((SIZES.pack(len(text), len(picture)), text, picture, b"" if drawn is None else runs(drawn)))

    def _facts(self, parcel: Parcel, mask_size: int | None, withheld: str) -> dict[str, object]:
        seg, frame, region, crop = parcel.seg, parcel.seg.frame, parcel.seg.frame.region, parcel.seg.crop
        age_ns, timing = seg.mask_age_ns, seg.timing
        mask = None
        if mask_size is not None and crop is not None:
            old = (age_ns or 0) > (NORMAL_PERIODS + 0.5) * self._period.ns
            mask = {"size": mask_size, "crop": (crop.x, crop.y, crop.side), "old": old}
        names = parcel.spec.classes if parcel.spec else CLASS_NAMES
        return {
            "count": parcel.count,
            "index": frame.index,
            "epoch": frame.epoch,
            "period_ms": self._period.ns / NS_PER_MS,
            "width": frame.width,
            "height": frame.height,
            "region": None if region is None else _corners(frame),
            "state": seg.state.value,
            "says": state_text(seg),
            "verdict": seg.verdict.value,
            "reason": seg.reason,
            "late": seg.emitted_late,
            "mask": mask,
            "mask_age_ms": None if age_ns is None else age_ns / NS_PER_MS,
            "withheld": withheld,
            "notes": seg.notes,
            "engine": seg.model_id,
            "training": parcel.spec.training if parcel.spec else "",
            "statement": NOT_FOR_DIAGNOSIS,
            "lan": self._lan,
            "structures": [(name.replace("_", " "), colour_of(i)) for i, name in enumerate(names) if i],
            "timing_ms": {
                "seen": timing.age_ns / NS_PER_MS,
                "prepare": timing.prepare_ns / NS_PER_MS,
                "infer": timing.infer_ns / NS_PER_MS,
                "mask": timing.mask_ns / NS_PER_MS,
                "compose": timing.compose_ns / NS_PER_MS,
                "total": timing.total_ns / NS_PER_MS,
            },
        }


def doubt_of(seg: Segmentation) -> str:
    """Why a mask that is to be shown must not be, empty for no reason."""
    if seg.state not in DRAWN_IN:
        return seg.state.value.lower()
    if seg.mask is None or seg.mask_age_ns is None or seg.mask_age_ns < 0:
        return "mask without a time"
    return "mask too old" if seg.mask_age_ns > OLDEST_SHOWN_MS * NS_PER_MS else ""


def encoded(frame: Frame) -> bytes:
    """The picture in its own colours as JPEG, grey if it is."""
    if frame.layout is Layout.GRAY and frame.full_range:
        pixels = frame.pixels
    else:
        pixels = np.asarray(cv2.cvtColor(to_rgb(frame), cv2.COLOR_RGB2BGR), dtype=np.uint8)
    _, data = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return data.tobytes()


def runs(mask: Mask) -> bytes:
    """The mask row by row as little-endian uint32: a label in the upper 8 bits, how often it follows in the lower."""
    flat = mask.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size))
    assert lengths.max() <= _LONGEST_RUN, "a mask is smaller than 4096 x 4096"
    words = np.left_shift(flat[starts], 24, dtype=np.uint32) | lengths.astype(np.uint32)
    return bytes(words.astype("<u4").data)


def _corners(frame: Frame) -> tuple[int, int, int, int]:
    bounds = frame.bounds
    return bounds.x0, bounds.y0, bounds.x1, bounds.y1
