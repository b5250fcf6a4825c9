"""Pictures and masks to the viewer's process, through shared memory."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.stream.slots import HEAD_BYTES, Slots
from edge3vt.viewer.feed import Parcel

SLOTS = 3
LARGEST_BYTES = 4096 * 2304 * 3 + (2048 << 10)
"""Of a picture and its mask. Memory that no picture has touched is never taken."""
_LONGEST_TEXT = 200


def parcel_slots() -> Slots:
    """Room for the newest pictures, whatever their size."""
    return Slots.create(SLOTS, LARGEST_BYTES)


def put(slots: Slots, parcel: Parcel) -> None:
    """Copy a parcel in, over the oldest one. Raises DataError for a picture that is too large."""
    seg = parcel.seg
    pixels, mask = seg.frame.pixels, seg.mask if seg.shown else None
    bare = replace(seg, frame=replace(seg.frame, pixels=pixels[:0]), mask=None, picture=None, scores=())
    told = replace(bare, withheld=bare.withheld[:_LONGEST_TEXT], notes=tuple(n[:_LONGEST_TEXT] for n in bare.notes[:4]))
    head = pickle.dumps((replace(parcel, seg=told), pixels.shape, None if mask is None else mask.shape))
    if len(head) > HEAD_BYTES:
        raise DataError(f"view://: the facts of a picture take {len(head)} bytes, there is room for {HEAD_BYTES}")
    parts = [pixels.ravel()] if mask is None else [pixels.ravel(), mask.ravel()]
    slots.put(head, parts[0] if len(parts) == 1 else np.concatenate(parts))


def take(slots: Slots) -> tuple[Parcel | None, int]:
    """The newest parcel since the last call, and how many were passed over."""
    records, lost = slots.take(newest=1)
    if not records:
        return None, lost
    head, body = records[-1]
    parcel, shape, mask_shape = pickle.loads(head)  # of our own parent
    return _whole(parcel, body, shape, mask_shape), lost


def _whole(parcel: Parcel, body: Pixels, shape: tuple[int, ...], mask_shape: tuple[int, ...] | None) -> Parcel:
    count = int(np.prod(shape))
    pixels = body[:count].reshape(shape)
    pixels.flags.writeable = False
    mask: Any = None if mask_shape is None else body[count:].reshape(mask_shape)
    return replace(parcel, seg=replace(parcel.seg, frame=replace(parcel.seg.frame, pixels=pixels), mask=mask))
