"""One contract for every network; what is no network is refused with one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.learn.networks import FORMS, NAMES, build, gmac, output_stride
from edge3vt.learn.student import parameters_m

SIZE = 64
STUDENTS = [name for name in NAMES if name.startswith("student-")]
STRIDES = {name: 2 if name.endswith("-half") else 4 for name in STUDENTS} | {
    "unet": 1, "unet-half": 1, "deeplabv3plus": 4, "deeplabv3plus-imagenet": 4, "flexible-unet": 1,
}  # fmt: skip
FOREIGN = '''
import torch
from torch import nn

class Grey(nn.Module):
    """Logits that tell which grey levels came in."""
    def __init__(self, classes):
        super().__init__()
        self.classes, self.bias = classes, nn.Parameter(torch.zeros(1))
    def forward(self, pixels):
        return pixels.repeat(1, self.classes, 1, 1) + self.bias

class Whole(Grey):
    def forward(self, pixels):
        return super().forward(pixels)[:, :, ::2, ::2], pixels.mean(dim=(2, 3))

class Wrong(nn.Conv2d):
    def __init__(self, classes):
        super().__init__(1, classes + 1, 1)

class Deep(nn.Conv2d):
    def __init__(self, classes):
        super().__init__(3, classes, 1)

class Three(Grey):
    def forward(self, pixels):
        return super().forward(pixels), None, None

class Oblong(Grey):
    def forward(self, pixels):
        return super().forward(pixels)[:, :, ::2]

def number(classes):
    return classes

def picky():
    pass
'''


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "foreign3vt.py").write_text(FOREIGN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "foreign3vt", raising=False)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_every_network_keeps_the_contract(name: str) -> None:
    model = build(name, 3).eval()
    pixels = torch.randint(0, 256, (2, 1, SIZE, SIZE), dtype=torch.uint8)
    logits, view = model(pixels)
    side = SIZE // STRIDES[name]
    assert (logits.shape, logits.dtype) == ((2, 3, side, side), torch.float32)
    assert (view is not None) == (name in STUDENTS)
    assert view is None or view.shape == (2, 1)
    torch.testing.assert_close(model(pixels.float())[0], logits, rtol=0, atol=0)
    assert output_stride(model, SIZE) == STRIDES[name]


@pytest.mark.parametrize("name", STUDENTS)
def test_students_stay_within_their_budget(name: str) -> None:
    model = build(name, 6)
    assert parameters_m(model) <= 2
    assert 16 * gmac(model, 96) <= 2  # at 384 px


def test_a_larger_student_is_larger_and_named() -> None:
    assert set(FORMS) == {"student-s", "student-m"}
    small, large = (gmac(build(name, 6), 192) for name in ("student-s", "student-m"))
    assert 2 <= large / small <= 2.5


def test_multiply_accumulates_are_counted_once() -> None:
    assert gmac(nn.Conv2d(1, 10, 3, padding=1), 100) == pytest.approx(100 * 100 * 10 * 9 / 1e9)
    assert gmac(build("student-s", 6), 128) == pytest.approx(4 * gmac(build("student-s", 6), 64), rel=1e-3)


def test_probing_leaves_the_mode_and_the_statistics() -> None:
    model = build("student-s", 3)
    model.stages[0].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    output_stride(model, SIZE)
    assert model.training
    assert model.head.training
    assert not model.stages[0][0].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.usefixtures("foreign")
def test_a_network_by_import_path_sees_grey_levels() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    logits, view = build("foreign3vt:Grey", 3)(pixels)
    assert view is None
    assert torch.equal(logits, pixels.float().repeat(1, 3, 1, 1))
    whole = build("foreign3vt:Whole", 3)
    assert output_stride(whole, 32) == 2
    assert whole(pixels.float())[1] is not None


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("student-x", "no such network; did you mean 'student-"),
        ("nowhere3vt:Net", "cannot be imported .*nowhere3vt.*check it and PYTHONPATH"),
        ("foreign3vt:Nothing", "cannot be imported .*Nothing"),
        (":Net", "cannot be imported"),
        ("foreign3vt:number", r"number\(3\) is a int, expected a torch.nn.Module"),
        ("foreign3vt:picky", r"picky\(3\) failed .*called with the number of classes"),
        ("foreign3vt:Wrong", r"logits \(1, 4, 128, 128\), expected \(1, 3, H, W\)"),
        ("foreign3vt:Deep", "failed on a 128 x 128 picture"),
        ("foreign3vt:Three", r"returned a tuple, expected logits, or logits and a \(N, 1\) view"),
    ],
)
def test_what_is_no_network_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(name, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("foreign")
def test_a_stride_is_one_integer() -> None:
    with pytest.raises(ConfigError, match="logits 32 x 16 for 32 px"):
        output_stride(build("foreign3vt:Oblong", 2), 32)


def test_without_its_package_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets.flexible_unet", None)
    with pytest.raises(BackendMissingError, match=r"flexible-unet needs monai.*pip install 'edge3vt\[train\]'"):
        build("flexible-unet", 3)
