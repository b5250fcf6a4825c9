"""Each term is its formula, written again slowly; it is 0 where student and teacher agree, and pulls them together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from edge3vt.core.documents import from_mapping
from edge3vt.core.errors import ConfigError
from edge3vt.learn.distillation import Distillation, cwd, dist, distillation_loss, kl, pixel_weight, temporal, to_grid
from edge3vt.learn.losses import Total, local
from tests.learn.processes import of_one_process, of_two_processes

ALL = Distillation(kl=1.0, cwd=3.0, dist=0.5, temporal=2.0, boundary=2.0, small=0.5, tau_kl=2.0, tau_cwd=4.0)
ALONE = [
    Distillation(kl=1.0),
    Distillation(kl=1.0, tau_kl=3.0, boundary=2.0, small=0.5),
    Distillation(cwd=1.0),
    Distillation(cwd=1.0, tau_cwd=4.0),
    Distillation(dist=1.0),
    Distillation(dist=1.0, tau_dist=2.0),
    Distillation(temporal=1.0),
]


def drawn(seed: int, count: int = 4, classes: int = 5, side: int = 6) -> Tensor:
    """Logits with clear classes, float64 so that slow and fast agree closely."""
    return 2 * torch.randn((count, classes, side, side), generator=torch.Generator().manual_seed(seed)).double()


def window(count: int = 4, side: int = 6) -> Tensor:
    """Crops: another rectangle in each picture, none in the last."""
    crop = torch.zeros((count, 1, side, side))
    for i in range(count - 1):
        crop[i, :, i : i + 3, 1:5] = 1
    return crop


def every_pair(count: int = 4) -> Tensor:
    return torch.ones(count // 2).bool()


def value(logits: Tensor, teacher: Tensor, terms: Distillation, total: Total = local) -> Tensor:
    crop = window(logits.shape[0], logits.shape[2])
    return sum_of(distillation_loss(logits, teacher, crop, every_pair(logits.shape[0]), terms, total))


def sum_of(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def softened(probabilities: np.ndarray, tau: float) -> np.ndarray:
    powered = probabilities ** (1 / tau)
    return powered / powered.sum()


def divergence(teacher: np.ndarray, student: np.ndarray) -> float:
    return sum(t * math.log(t / s) for t, s in zip(teacher.ravel(), student.ravel(), strict=True) if t > 0)


@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_kl_is_the_weighted_mean_over_pixels(tau: float) -> None:
    logits, teacher = drawn(0), drawn(1).softmax(1)
    weight = torch.rand((4, 1, 6, 6), generator=torch.Generator().manual_seed(2)).double() + 1
    student, found, mass = logits.softmax(1).numpy(), 0.0, 0.0
    for n, y, x in np.ndindex(4, 6, 6):
        w = weight[n, 0, y, x].item()
        pair = softened(teacher.numpy()[n, :, y, x], tau), softened(student[n, :, y, x], tau)
        found, mass = found + w * tau**2 * divergence(*pair), mass + w
    assert kl(logits.log_softmax(1), teacher, weight, tau).item() == pytest.approx(found / mass, rel=1e-6)


def test_kl_does_not_grow_with_the_resolution_as_a_mean_over_the_batch_would() -> None:
    logits, teacher = drawn(0), drawn(1).softmax(1)
    fine, finer = (part.repeat_interleave(2, 2).repeat_interleave(2, 3) for part in (logits, teacher))
    small, large = (value(a, b, ALONE[0]).item() for a, b in ((logits, teacher), (fine, finer)))
    assert large == pytest.approx(small, rel=1e-5)
    by_batch = [
        torch.nn.functional.kl_div(a.log_softmax(1), b, reduction="batchmean").item()
        for a, b in ((logits, teacher), (fine, finer))
    ]
    assert by_batch[0] == pytest.approx(36 * small, rel=1e-5), "the trap: H * W times too heavy"
    assert by_batch[1] == pytest.approx(4 * by_batch[0], rel=1e-5)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_cwd_compares_each_channel_over_the_crop(tau: float) -> None:
    logits, teacher, crop = drawn(0), drawn(1).softmax(1), window()
    teacher[0, 4] = 0  # a class that is in no pixel of a picture
    teacher = teacher / teacher.sum(1, keepdim=True)
    student, found, channels = logits.softmax(1).numpy(), 0.0, 0
    for n, c in np.ndindex(4, 5):
        inside = crop[n, 0].numpy() > 0 if n < 3 else np.ones((6, 6), bool)
        seen = teacher.numpy()[n, c][inside]
        if seen.max() >= 0.05:
            pair = softened(seen, tau), softened(student[n, c][inside], tau)
            found, channels = found + tau**2 * divergence(*pair), channels + 1
    assert channels == 19
    assert cwd(logits.log_softmax(1), teacher, crop, tau).item() == pytest.approx(found / channels, rel=1e-6)


def test_what_lies_outside_the_crop_is_nothing_to_cwd() -> None:
    logits, teacher, crop = drawn(0), drawn(1).softmax(1), window()
    outside = (crop == 0) & (torch.arange(4) < 3)[:, None, None, None]
    before = cwd(logits.log_softmax(1), teacher, crop)
    other = torch.where(outside, drawn(2).softmax(1), teacher)
    torch.testing.assert_close(cwd(logits.log_softmax(1), other, crop), before, rtol=0, atol=0)
    moved = torch.where(outside, drawn(3), logits)
    torch.testing.assert_close(cwd(moved.log_softmax(1), teacher, crop), before, rtol=0, atol=0)
    inside = torch.where(outside, teacher, drawn(2).softmax(1))
    assert cwd(logits.log_softmax(1), inside, crop) != before
    assert cwd(logits.log_softmax(1), other) != cwd(logits.log_softmax(1), teacher), "without a crop all counts"


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_dist_is_what_two_correlations_lose(tau: float) -> None:
    logits, teacher = drawn(0), drawn(1).softmax(1)
    rows = [
        np.stack([softened(part.numpy()[n, :, y, x], tau) for n, y, x in np.ndindex(4, 6, 6)])
        for part in (logits.softmax(1), teacher)
    ]
    inter = np.mean([1 - np.corrcoef(s, t)[0, 1] for s, t in zip(*rows, strict=True)])
    intra = np.mean([1 - np.corrcoef(rows[0][:, c], rows[1][:, c])[0, 1] for c in range(5)])
    assert dist(logits.log_softmax(1), teacher, tau).item() == pytest.approx(inter + intra, rel=1e-6)


def test_dist_leaves_out_what_the_teacher_does_not_tell_apart() -> None:
    student = drawn(0)[:, :3].log_softmax(1)
    teacher = torch.zeros(4, 3, 6, 6).double()
    teacher[:, 0], teacher[:2, 0], teacher[:2, 1] = 1, 0, 1  # two classes halve the batch, one is nowhere
    assert dist(teacher.clamp(min=1e-30).log(), teacher).item() == pytest.approx(0, abs=1e-9)
    inter = [1 - np.corrcoef(student.exp()[n, :, y, x], teacher[n, :, y, x])[0, 1] for n, y, x in np.ndindex(4, 6, 6)]
    intra = [1 - np.corrcoef(student.exp()[:, c].flatten(), teacher[:, c].flatten())[0, 1] for c in range(2)]
    assert dist(student, teacher).item() == pytest.approx(np.mean(inter) + np.mean(intra), rel=1e-6)
    assert dist(student, torch.full_like(teacher, 1 / 3)) == 0, "uniform: nothing at all"


def test_temporal_compares_the_changes_of_neighbours_only() -> None:
    logits, teacher = drawn(0), drawn(1).softmax(1)
    student = logits.softmax(1)
    differences = [((student[i + 1] - student[i] - teacher[i + 1] + teacher[i]) ** 2).mean().item() for i in (0, 2)]
    surely = logits.log_softmax(1)
    assert temporal(surely, teacher, every_pair()).item() == pytest.approx(np.mean(differences), rel=1e-6)
    one = torch.tensor([False, True])
    assert temporal(surely, teacher, one).item() == pytest.approx(differences[1], rel=1e-6)
    assert temporal(surely, teacher, None) == 0
    assert temporal(surely[:1], teacher[:1], torch.ones(0).bool()) == 0, "half a pair"
    still = teacher[:1].repeat(4, 1, 1, 1)
    assert temporal(logits[:1].repeat(4, 1, 1, 1).log_softmax(1), still, every_pair()) == 0, "both stand still"


def test_pixels_at_boundaries_and_of_small_structures_weigh_more() -> None:
    teacher = torch.zeros(1, 3, 9, 9)
    teacher[:, 0] = 1
    teacher[:, 0, 2:4, 2:4], teacher[:, 1, 2:4, 2:4] = 0, 1  # 4 of 81 cells
    teacher[:, :, 8, 8] = 0  # says nothing
    edge = pixel_weight(teacher, 2.0, 0.0)[0, 0]
    expected = torch.ones(9, 9)
    expected[1:5, 1:5] = 3  # both sides of the outline, and no cell further
    expected[8, 8] = 0
    torch.testing.assert_close(edge, expected)
    small = pixel_weight(teacher, 0.0, 0.5)[0, 0]
    assert small[2, 2].item() == pytest.approx((76 / 4) ** 0.5)
    assert small[0, 0] == 1
    assert small[8, 8] == 0
    assert pixel_weight(teacher, 0.0, 1.0)[0, 0, 3, 3] == 10, "clipped"
    torch.testing.assert_close(pixel_weight(teacher, 2.0, 0.5)[0, 0], edge * small)


def test_the_weights_of_pixels_leave_the_scale_of_kl() -> None:
    logits = torch.full((4, 5, 6, 6), 0.3)
    logits[:, 0] = -1.0  # the same mistake everywhere where the teacher is as sure
    teacher = torch.nn.functional.one_hot(torch.randint(1, 5, (4, 6, 6), generator=torch.Generator().manual_seed(3)), 5)
    teacher = teacher.permute(0, 3, 1, 2).float()
    plain, weighted = Distillation(kl=1.0), Distillation(kl=1.0, boundary=5.0, small=1.0)
    torch.testing.assert_close(value(logits, teacher, weighted), value(logits, teacher, plain))
    assert value(drawn(0), teacher, weighted) != value(drawn(0), teacher, plain)


@pytest.mark.parametrize("terms", ALONE)
def test_a_term_is_zero_where_both_agree_and_its_gradient_lowers_it(terms: Distillation) -> None:
    logits, teacher = drawn(0).float(), drawn(1).softmax(1).float()
    assert value(teacher.log(), teacher, terms).item() == pytest.approx(0, abs=2e-6)
    before, gradient = of_one_process(lambda a, b, total: value(a, b, terms, total), logits, teacher)
    after = value(logits - 0.05 * gradient / gradient.norm(), teacher, terms).item()
    assert after < before - 0.02 * gradient.norm().item()


@pytest.mark.parametrize("terms", [*ALONE, ALL])
@pytest.mark.parametrize("kind", ["hard", "silent", "bf16", "certain", "undecided"])
def test_everything_is_finite(terms: Distillation, kind: str) -> None:
    logits, teacher = drawn(0).float(), drawn(1).softmax(1).float()
    if kind == "hard":
        teacher = torch.nn.functional.one_hot(teacher.argmax(1), 5).permute(0, 3, 1, 2).float()
    if kind == "silent":
        teacher = torch.zeros_like(teacher)
    if kind == "bf16":
        logits = logits.bfloat16()
    if kind == "certain":
        logits = logits * 1000
    if kind == "undecided":
        logits = torch.zeros_like(logits)
    found, gradient = of_one_process(lambda a, b, total: value(a, b, terms, total), logits, teacher)
    assert math.isfinite(found)
    assert gradient.isfinite().all()
    if kind == "silent":
        assert found == 0
        assert not gradient.any(), "who says nothing teaches nothing"


def test_logits_of_half_precision_are_taken_as_they_are_and_reckoned_in_float32() -> None:
    logits, teacher = drawn(0).bfloat16(), drawn(1).softmax(1).float()
    for half, full in zip(
        *(distillation_loss(x, teacher, None, None, ALL).values() for x in (logits, logits.float())), strict=True
    ):
        assert half.dtype == torch.float32
        assert half == full


@pytest.mark.parametrize("terms", [Distillation(kl=1.0, boundary=1.0, small=0.5), *ALONE[2:]])
def test_a_picture_without_soft_labels_changes_nothing_for_the_others(terms: Distillation) -> None:
    logits, teacher = drawn(0), drawn(1).softmax(1)
    teacher[2:] = 0
    without = sum_of(distillation_loss(logits[:2], teacher[:2], window()[:2], every_pair(2), terms))
    torch.testing.assert_close(value(logits, teacher, terms), without)


def test_only_weighted_terms_come_back_and_weighted() -> None:
    logits, teacher = drawn(0), drawn(1).softmax(1)
    found = distillation_loss(logits, teacher, None, every_pair(), Distillation(cwd=3.0, temporal=2.0))
    assert list(found) == ["cwd", "temporal"]
    alone = distillation_loss(logits, teacher, None, every_pair(), Distillation(cwd=1.0))
    torch.testing.assert_close(found["cwd"], 3 * alone["cwd"])
    assert distillation_loss(logits, teacher, None, None, Distillation()) == {}
    with pytest.raises(ValueError, match=r"logits are \(4, 5, 6, 6\), the teacher's soft labels \(4, 4, 6, 6\)"):
        distillation_loss(logits, teacher[:, 1:], None, None, ALL)


@pytest.mark.parametrize("terms", [*ALONE, ALL])
def test_two_processes_with_half_the_batch_each_are_one_with_the_whole(terms: Distillation) -> None:
    logits, teacher, crop = drawn(0, 8), drawn(1, 8).softmax(1), window(8)
    teacher[0], teacher[5, 1] = 0, 0  # unlike halves
    pairs = torch.tensor([True, True, False, True])

    def loss(logits: Tensor, teacher: Tensor, crop: Tensor, pairs: Tensor, total: Total) -> Tensor:
        return sum_of(distillation_loss(logits, teacher, crop, pairs, terms, total))

    whole, gradient = of_one_process(loss, logits, teacher, crop, pairs)
    halves, of_halves = of_two_processes(loss, logits, teacher, crop, pairs)
    assert halves == pytest.approx([whole, whole])
    torch.testing.assert_close(of_halves, gradient)
    apart, _ = of_two_processes(lambda *batch: loss(*batch[:-1], local), logits, teacher, crop, pairs)
    assert apart != pytest.approx([whole, whole]), "without adding up they differ"


def test_every_process_asks_for_the_same_totals_whatever_its_batch_holds() -> None:
    def asked(teacher: Tensor, crop: Tensor | None, pairs: Tensor | None) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []

        def total(sums: Tensor) -> Tensor:
            assert sums.requires_grad, "else its process would stay away from the others' backward pass"
            shapes.append(tuple(sums.shape))
            return sums

        distillation_loss(drawn(0).requires_grad_(), teacher, crop, pairs, ALL, total)
        return shapes

    soft = drawn(1).softmax(1)
    assert asked(soft, window(), every_pair()) == asked(torch.zeros_like(soft), None, None) != []


def test_a_teacher_is_brought_to_the_grid_by_area() -> None:
    fine = drawn(1, side=12).softmax(1)
    crop = torch.zeros(4, 1, 12, 12)
    crop[:, :, 3:9, 4:10] = 1
    soft, inside = to_grid(fine, crop, (6, 6))
    torch.testing.assert_close(soft[0, :, 2, 1], fine[0, :, 4:6, 2:4].mean((1, 2)).float())
    torch.testing.assert_close(soft.sum(1), torch.ones(4, 6, 6))
    expected = torch.zeros(6, 6)
    expected[2:4, 2:5] = 1  # rows 1 and 4 are half outside
    assert inside is not None
    assert torch.equal(inside[0, 0], expected)


def test_bytes_become_probabilities_and_silence_stays_silent() -> None:
    levels = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    levels[:, 0], levels[:, 1] = 200, 54  # 254 of 255: rounded
    levels[:, :, :2] = 0
    levels[:, 2, 1, 0] = 255  # one speaking pixel of four
    soft, inside = to_grid(levels, None, (2, 2))
    assert inside is None
    torch.testing.assert_close(soft[0, :, 1, 0], torch.tensor([200 / 254, 54 / 254, 0.0]))
    torch.testing.assert_close(soft[0, :, 0, 0], torch.tensor([0.0, 0.0, 1.0]))
    assert not soft[0, :, 0, 1].any()
    with pytest.raises(ValueError, match=r"a grid of \(8, 4\) is finer than soft labels of \(4, 4\)"):
        to_grid(levels, None, (8, 4))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kl": -1.0}, "kl is -1.0, expected 0 or more"),
        ({"kl": 1.0, "tau_kl": 0.0}, "tau_kl is 0.0, expected more than 0"),
        ({"cwd": 1.0, "small": 0.5}, "but kl is 0"),
        ({"kll": 1.0}, "did you mean 'kl'"),
    ],
)
def test_a_wrong_recipe_is_refused_with_one_line(document: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(Distillation, document, where="recipe.toml")


def test_a_recipe_says_only_what_it_wants() -> None:
    assert from_mapping(Distillation, {"kl": 1}, where="recipe.toml") == Distillation(kl=1.0)
