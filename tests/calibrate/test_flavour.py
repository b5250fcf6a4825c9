from __future__ import annotations

from typing import cast, get_args

import pytest

from edge3vt.calibrate.flavour import Flavour, scheme_of


def test_every_flavour_has_a_scheme_and_no_other_name_has() -> None:
    for flavour in get_args(Flavour):
        scheme = scheme_of(flavour)
        assert scheme.weighted <= set(scheme.activations)
        assert scheme.signed == flavour.startswith("tensorrt")
        assert scheme.half == flavour.endswith("fp16")
    with pytest.raises(ValueError, match="flavour 'gpu'; expected 'cpu', 'tensorrt-fp32' or 'tensorrt-fp16'"):
        scheme_of(cast(Flavour, "gpu"))


def test_the_opsets_are_those_that_tensorrt_reads() -> None:
    assert scheme_of("tensorrt-fp32").opsets == (13, 17)
    assert scheme_of("tensorrt-fp16").opsets == (19, 19)
