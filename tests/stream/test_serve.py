"""Results as they cross: all of them, and errors of any length."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields, replace

import numpy as np
import pytest

from edge3vt.core.frame import Crop
from edge3vt.stream import serve
from edge3vt.stream.lane import LaneResult
from edge3vt.stream.slots import Slots

GOOD = LaneResult(
    index=7,
    captured_ns=2**53 + 1,
    epoch=2,
    done_ns=2**53 + 3,
    crop=Crop(-1, 2, 30, 32, "track"),
    mask=np.arange(64, dtype=np.uint8).reshape(8, 8),
    scores=(0.1, 1 / 3, 0.0),
    view=-0.1,
    model_id="fake-1",
    prepare_ns=1,
    infer_ns=2,
    mask_ns=3,
)
FAILED = replace(GOOD, mask=None, scores=(), view=None, error="the engine gave 3 logits that are not finite")


def across(result: LaneResult) -> LaneResult:
    with closing(Slots.create(2, 64)) as slots:
        serve._put(slots, result)
        ((head, body),), _ = slots.take()
        return serve.unpacked(head, body)


@pytest.mark.parametrize("result", [GOOD, FAILED, replace(GOOD, view=None)])
def test_everything_of_a_result_travels(result: LaneResult) -> None:
    got = across(result)
    for field in fields(LaneResult):
        if field.name != "mask":
            assert getattr(got, field.name) == getattr(result, field.name), field.name
    assert (got.mask is None) == (result.mask is None)
    if got.mask is not None:
        np.testing.assert_array_equal(got.mask, result.mask)


def test_a_view_that_is_no_number_and_an_endless_error_travel() -> None:
    got = across(replace(FAILED, view=float("nan"), error="\u00e9" * 100_000))
    assert got.view != got.view
    assert got.error == "\u00e9" * 400
