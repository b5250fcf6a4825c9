from __future__ import annotations

import re

import pytest

from edge3vt.calibrate.cache import from_cache, header, to_cache
from edge3vt.calibrate.qdq import symmetric_scale
from edge3vt.calibrate.table import PREPROCESSING, SCHEMA, CalibrationTable, TensorRange
from edge3vt.core.errors import ArtifactError, ConfigError


def of(**ranges: tuple[float, float]) -> CalibrationTable:
    return CalibrationTable(
        schema=SCHEMA,
        model="net-1",
        model_sha256="0" * 64,
        set_name="some",
        frames_sha256="0" * 64,
        frames=1,
        preprocessing=PREPROCESSING,
        method="minmax",
        ranges={name: TensorRange(*span) for name, span in ranges.items()},
    )


def test_the_example_of_the_translators_documentation() -> None:
    assert to_cache(of(input=(0.0, 1.0)), "8.5.2") == "TRT-8502-EntropyCalibration2\ninput: 3c010204\n"


def test_a_cache_comes_back_with_the_scales_of_the_quantised_model() -> None:
    spans = {
        "a/b:0": (-2.5, 1.0),
        "with space": (0.0, 17.9),
        "dead": (0.0, 0.0),
        "tiny": (-1e-20, 1e-20),
        "k: v": (0, 1),
    }
    table = of(**spans)
    first, found = from_cache(to_cache(table, "8.6.2"))
    assert first == header("8.6.2")
    assert list(found) == list(spans)
    for name, span in table.ranges.items():
        assert symmetric_scale(found[name])[0] == symmetric_scale(span)[0]
        assert found[name].min == -found[name].max
    assert to_cache(of(**{name: (span.min, span.max) for name, span in found.items()}), "8.6.2") == to_cache(
        table, "8.6.2"
    )


@pytest.mark.parametrize(
    ("version", "number"), [("8.5.2", 8502), ("8.6", 8600), ("8.6.2.3", 8602), ("10.3", 100300), ("10.13.2", 101302)]
)
def test_the_header_counts_the_version(version: str, number: int) -> None:
    assert header(version) == f"TRT-{number}-EntropyCalibration2"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("11.4", "TensorRT 11.4 reads no calibration cache"),
        ("7.1", "TensorRT 7.1 reads no calibration cache"),
        ("ten", "'ten' is no TensorRT version; expected one like 8.6.2"),
    ],
)
def test_a_version_without_a_cache_is_refused(version: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        to_cache(of(a=(0, 1)), version)


def test_a_name_of_two_lines_is_refused() -> None:
    with pytest.raises(ArtifactError, match="cannot stand on a line"):
        to_cache(of(**{"a\nb": (0.0, 1.0)}), "8.6.2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "starts with '', expected 'TRT-8502"),
        ("input: 3c010204\n", "starts with 'input: 3c010204'"),
        ("TRT-8502-EntropyCalibration2\ninput 3c010204\n", "line 2: 'input 3c010204', expected 'TENSOR: HEX'"),
        ("TRT-8502-EntropyCalibration2\ninput: 3c0102zz\n", "line 2"),
        ("TRT-8502-EntropyCalibration2\na: 3c010204\na: 3c010204\n", "line 3: tensor a stands twice"),
        ("TRT-8502-EntropyCalibration2\na: 7f800000\n", "tensor a has the scale inf"),
        ("TRT-8502-EntropyCalibration2\na: bc010204\n", "tensor a has the scale -0.0078"),
        ("TRT-8502-EntropyCalibration2\na: 0\n", "tensor a has the scale 0.0"),
    ],
)
def test_what_is_no_cache_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(message)):
        from_cache(text)
