from __future__ import annotations

import dataclasses

import pytest

from edge3vt.core.anatomy import CLASS_NAMES, MAX_CLASSES
from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import ModelSpec

SPEC = ModelSpec(
    schema=1,
    name="student",
    version="0.1.0",
    classes=CLASS_NAMES,
    height=256,
    width=384,
    stride=4,
    has_view=True,
    full_range=True,
    training="trained on synthetic images",
)


def test_shapes_of_the_engine_contract() -> None:
    assert SPEC.input_shape == (1, 1, 256, 384)
    assert SPEC.logits_shape == (1, 6, 64, 96)
    assert SPEC.model_id == "student-0.1.0"


def test_a_spec_survives_the_metadata_of_a_model() -> None:
    assert parse_json(ModelSpec, to_json(SPEC, indent=None), where="student.onnx") == SPEC


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2 is not known, expected 1; update edge3vt"),
        ({"classes": ("background",)}, f"1 classes, expected 2 to {MAX_CLASSES}"),
        ({"classes": ("c",) * (MAX_CLASSES + 1)}, f"{MAX_CLASSES + 1} classes, expected 2 to {MAX_CLASSES}"),
        ({"height": 255}, "255x384 is not a multiple of the stride 4"),
        ({"width": 2}, "256x2 is not a multiple of the stride 4"),
        ({"height": 0}, "0x384 is not a multiple"),
        ({"width": -4}, "256x-4 is not a multiple"),
        ({"stride": 0}, "stride 0"),
    ],
)
def test_a_spec_that_no_engine_can_have_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArtifactError, match="model spec of student: ") as caught:
        dataclasses.replace(SPEC, **change)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_foreign_spec_names_the_file() -> None:
    with pytest.raises(ArtifactError, match=r"^net\.onnx: model spec of student: schema 9"):
        parse_json(ModelSpec, to_json(SPEC).replace('"schema": 1', '"schema": 9'), where="net.onnx")
