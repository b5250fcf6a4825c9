"""A teacher that is always right gives soft labels that lie where the labels lie, near and far, whatever its looks."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, get_ident
from types import SimpleNamespace
from typing import Any, Literal

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.spec import ModelSpec
from edge3vt.data.augment import Augmentation
from edge3vt.learn.batches import Draw, Pool, make
from edge3vt.learn.networks import build
from edge3vt.learn.pictures import SIDE, Pictures, read_pictures
from edge3vt.learn.recipe import Teacher
from edge3vt.learn.teacher import Pair, most_likely, open_teacher, taught
from edge3vt.learn.weights import Weights, save_weights
from tests.learn.squares import CLASSES as SQUARES
from tests.learn.squares import make_squares

CLASSES = ("background", "shape")
GREY = 200  # level of the shape
SPEC = ModelSpec(1, "test", "1", ("background", "vessel"), 64, 64, 4, False, True, "trained on nothing")


class Oracle(nn.Module):
    """Reads the shape off its grey level; logits at a stride, as log-probabilities of each cell."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, pixels: Tensor) -> tuple[Tensor, None]:
        sure = nn.functional.avg_pool2d(pixels.float() / GREY, self.stride)
        return torch.cat([1 - sure, sure], dim=1).clamp(min=1e-9).log(), None


def oracle(size: int, stride: int) -> Weights:
    spec = ModelSpec(1, "oracle", "1", CLASSES, size, size, stride, False, True, "knows")
    return Weights(Oracle(stride), spec, "oracle")


@pytest.fixture(scope="module")
def mask() -> NDArray[np.uint8]:
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(drawn, (300, 180), (70, 30), 25, 0, 360, 1, -1)
    cv2.circle(drawn, (352, 262), 14, 1, -1)
    return drawn


def middle(parts: NDArray[np.float32]) -> NDArray[np.float64]:
    """The centre of mass of the shape in (2, s, s) parts, in widths of the square."""
    along = (np.arange(parts.shape[1]) + 0.5) / parts.shape[1]
    shape = parts[1].astype(np.float64)
    return np.array([(shape * along).sum(), (shape * along[:, None]).sum()]) / shape.sum()


def one_hot(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.stack([(mask == c).astype(np.float32) for c in range(2)])


@pytest.mark.parametrize("looks", [1, 2, 4, 8])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("close", [False, True])
def test_an_oracles_word_lies_on_the_label(
    mask: NDArray[np.uint8], looks: Literal[1, 2, 4, 8], stride: int, close: bool
) -> None:
    teacher = Teacher(full="full", crop="crop" if close else None, looks=looks, side=256)
    pair = Pair(oracle(192, stride), oracle(256, stride) if close else None, teacher)
    said, (x0, y0, x1, y1) = pair.says(mask * GREY, mask, 0.4)
    px = np.abs(middle(said) - middle(one_hot(mask))).max() * 256
    assert px < 0.1, "of the soft label's; half a pixel of the network's would be 0.7, of its stride more"
    assert ((x0, y0, x1, y1) != (0, 0, 0, 0)) == close
    truth = one_hot(mask).reshape(2, 256, 2, 256, 2).mean(axis=(2, 4))
    off = np.abs(said - truth).mean()
    assert off < (0.008 if stride == 4 else 0.002)
    if close:
        assert x1 - x0 == y1 - y0 == round(45 / 0.4 / 2)
        far = pair.__class__(pair.full, None, teacher).says(mask * GREY, mask, 0.4)[0]
        near, wide = (np.abs(p - truth)[:, y0:y1, x0:x1].mean() for p in (said, far))
        assert near < 0.7 * wide, "who looks closer is closer"


def test_the_word_goes_where_picture_and_mask_go(mask: NDArray[np.uint8]) -> None:
    pair = Pair(oracle(256, 1), oracle(256, 1), Teacher(full="full", crop="crop", looks=1))
    said, spoke = pair.says(mask * GREY, mask, 0.4)
    pictures = Pictures(
        ("a",), ("p",), mask[None] * GREY, mask[None], np.array([True]), np.array([np.nan], np.float32),
        np.array([0.4], np.float32), np.array([-1]), (said * 255).round().astype(np.uint8)[None], np.array([spoke]),
    )  # fmt: skip
    bent = Augmentation(sector_share=1.0, turn_share=1.0, mirror_share=0.5, close_share=1.0)
    compared = 0
    for step in range(12):
        batch = make([Pool(pictures, 1.0, bent)], Draw(0, 2, 192, 96), step, slice(None))
        assert batch.teacher is not None
        for soft, label in zip(batch.teacher, batch.masks, strict=True):
            parts = one_hot(label)
            if parts[1].sum() > 300 and not label[[0, -1]].any() and not label[:, [0, -1]].any():
                assert np.abs(middle(soft) - middle(parts)).max() * 192 < 0.5
                compared += 1
    assert compared > 12


def test_without_a_label_its_own_word_places_the_crop(mask: NDArray[np.uint8]) -> None:
    pair = Pair(oracle(192, 4), oracle(192, 4), Teacher(full="full", crop="crop", looks=1, side=256))
    told, asked = (pair.says(mask * GREY, label, 0.4)[1] for label in (mask, None))
    assert np.abs(np.subtract(told, asked)).max() <= 2
    empty = np.zeros_like(mask)
    assert pair.says(empty, None, 0.4)[1] == (0, 0, 0, 0), "where nothing is, nobody looks closer"


def test_a_module_of_ones_own_teaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_net.py").write_text(
        "import torch\nclass Net(torch.nn.Conv2d):\n    def __init__(self, classes):\n"
        "        super().__init__(1, classes, 3, 2, 1)\nclass Odd(Net):\n    def __init__(self, classes):\n"
        "        super().__init__(classes)\n        self.more = torch.nn.Linear(1, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    net = build("own_net:Net", 2)
    state = {name.removeprefix("network."): tensor for name, tensor in net.state_dict().items()}
    path = tmp_path / "net.safetensors"
    save_file(state, path)
    pair = open_teacher(Teacher(full=str(path), network="own_net:Net", side=64), CLASSES)
    assert pair.full.spec.input_shape == (1, 1, 64, 64)
    assert pair.full.spec.stride == 2
    said, _ = pair.says(np.zeros((SIDE, SIDE), np.uint8), None, None)
    assert said.shape == (2, 64, 64)
    with pytest.raises(ArtifactError, match="its weights are not those of own_net:Odd"):
        open_teacher(Teacher(full=str(path), network="own_net:Odd"), CLASSES)
    with pytest.raises(ArtifactError, match=r"name its class as teacher\.network"):
        open_teacher(Teacher(full=str(path)), CLASSES)
    with pytest.raises(ConfigError, match="PYTHONPATH"):
        open_teacher(Teacher(full=str(path), network="own_nets:Net"), CLASSES)
    save_weights(tmp_path / "two.safetensors", build("student-s", 2), SPEC, "student-s")
    with pytest.raises(ArtifactError, match="teaches background, vessel"):
        open_teacher(Teacher(full=str(tmp_path / "two.safetensors"), network="student-s"), CLASSES)


def test_each_process_makes_its_share_and_all_see_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(tmp_path / "full", build("student-s", 3), replace(SPEC, classes=SQUARES), "student-s")
    stills = make_squares(tmp_path / "stills")
    pictures = read_pictures([stills], "train")[0]
    teacher = Teacher(full=str(tmp_path / "full"), looks=1, side=64)
    made: list[int] = []
    says = Pair.says

    def counted(pair: Pair, *arguments: Any) -> Any:
        made.append(get_ident())
        return says(pair, *arguments)

    monkeypatch.setattr(Pair, "says", counted)
    meeting = Barrier(2, timeout=30)

    def process(rank: int) -> Pictures:
        fabric: Any = SimpleNamespace(
            is_global_zero=rank == 0, global_rank=rank, world_size=2, barrier=lambda: meeting.wait()
        )
        return taught(fabric, teacher, [stills], pictures, SQUARES, tmp_path / "soft", lambda done, total: None)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(process, range(2))
    assert len(made) == len(pictures) == 9, "none is made twice"
    assert sorted(Counter(made).values()) == [4, 5]
    assert first.soft is not None
    assert second.soft is not None
    np.testing.assert_array_equal(first.soft, second.soft)


def test_the_most_likely_class_is_taken_on_the_fine_pixels() -> None:
    side = 64
    edge = np.full((2, side, side), 0.0, np.float32)
    edge[1, :, :20] = 1.0
    edge[1, :, 20] = 0.8  # the class ends 0.8 px into the pixel that begins at 20
    edge[0] = 1 - edge[1]
    for probabilities in (edge, np.rint(255 * edge).astype(np.uint8)):
        ends = most_likely(probabilities)[SIDE // 2].sum() * side / SIDE
        assert ends == pytest.approx(20.8, abs=0.15), "not on the next whole pixel"
