from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict


@pytest.mark.parametrize(("mask_ns", "age_ns"), [(None, None), (1000, 0), (400, 600)])
def test_a_mask_is_as_old_as_the_frame_it_was_computed_from(mask_ns: int | None, age_ns: int | None) -> None:
    emitted = Segmentation(
        frame=Frame(3, 1000, np.zeros((4, 4), np.uint8)),
        mask=None if mask_ns is None else np.zeros((2, 2), np.uint8),
        mask_ns=mask_ns,
        crop=None,
        verdict=Verdict.SKIPPED,
        reason="busy",
        emitted_late=False,
        state=State.LIVE,
        scores=(),
        shown=False,
        withheld="no mask yet",
        model_id="student-0.1.0",
    )
    assert emitted.mask_age_ns == age_ns
