"""What a student learns from a teacher's soft labels, beside the labels: pixels, shapes, relations, changes.

A term takes the student's log-probabilities and the teacher's probabilities, both (N, C, h, w) on the student's
grid, and is 0 where they agree. Pixels of which the teacher says nothing (all probabilities 0) teach nothing.
Sums over the batch pass through ``total`` (see losses), once or more a term whatever the batch holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from edge3vt.core.errors import ConfigError
from edge3vt.learn.losses import Total, local

ABSENT = 0.05  # a class that reaches no such probability in a picture is not in it
SMALLEST_VARIANCE = 1e-6  # of probabilities; the teacher tells nothing apart below it
LARGEST_SMALL_WEIGHT = 10.0  # of a structure, against the largest class of its picture
NOWHERE = -1e30  # a logit that no softmax sees and that stays finite


@dataclass(frozen=True, slots=True)
class Distillation:
    """Weights of the terms, 0 for none, and their temperatures; boundary and small shape the kl term.

    pseudo: the teacher's most likely classes as the labels of pictures that have none (Lee 2013), under the same loss
    as labels; it is taken on the mask's pixels, where a small vessel is several cells of the grid that the others see.
    """

    pseudo: float = 0.0
    kl: float = 0.0
    cwd: float = 0.0
    dist: float = 0.0
    temporal: float = 0.0
    tau_kl: float = 1.0
    tau_cwd: float = 1.0
    tau_dist: float = 1.0
    boundary: float = 0.0
    small: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("tau_"):
                if not 0 < value < math.inf:
                    raise ConfigError(f"distillation: {field.name} is {value}, expected more than 0; 1 softens nothing")
            elif not 0 <= value < math.inf:
                raise ConfigError(f"distillation: {field.name} is {value}, expected 0 or more; 0 leaves it out")
        if not self.kl and (self.boundary or self.small):
            raise ConfigError(
                "distillation: boundary and small weigh the kl term, but kl is 0; set kl or leave them out"
            )


def distillation_loss(
    logits: Tensor,
    teacher: Tensor,
    crop: Tensor | None,
    pairs: Tensor | None,
    terms: Distillation,
    total: Total = local,
) -> dict[str, Tensor]:
    """The terms of non-zero weight, each times its weight; their sum is the loss.

    logits, teacher (probabilities): (N, C, h, w); crop: (N, 1, h, w), 1 where a crop teacher spoke;
    pairs: (N // 2,) bool, which pictures 2k and 2k + 1 are neighbours of one cine under one geometry, None for none.
    Raises ValueError where logits and teacher differ in shape.
    """
    if logits.shape != teacher.shape:
        raise ValueError(f"logits are {tuple(logits.shape)}, the teacher's soft labels {tuple(teacher.shape)}")
    surely, teacher = logits.float().log_softmax(dim=1), teacher.detach().float()
    losses = {}
    if terms.kl:
        weight = pixel_weight(teacher, terms.boundary, terms.small)
        losses["kl"] = terms.kl * kl(surely, teacher, weight, terms.tau_kl, total)
    if terms.cwd:
        losses["cwd"] = terms.cwd * cwd(surely, teacher, crop, terms.tau_cwd, total)
    if terms.dist:
        losses["dist"] = terms.dist * dist(surely, teacher, terms.tau_dist, total)
    if terms.temporal:
        losses["temporal"] = terms.temporal * temporal(surely, teacher, pairs, total)
    return losses


def to_grid(probabilities: Tensor, crop_mask: Tensor | None, shape: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """A teacher's (N, C, H, W) probabilities, float or uint8 of any scale, averaged by area onto ``shape``, (h, w).

    They then sum to 1, or to 0 where the teacher says nothing. crop_mask (N, 1, H, W) comes back 0/1, 1 in the
    cells that lie in the crop entirely. Raises ValueError where the grid is finer than the probabilities.
    """
    if probabilities.shape[2] < shape[0] or probabilities.shape[3] < shape[1]:
        raise ValueError(f"a grid of {tuple(shape)} is finer than soft labels of {tuple(probabilities.shape[2:])}")
    on_grid = _normalised(functional.adaptive_avg_pool2d(probabilities.float(), (shape[0], shape[1])), 1)
    if crop_mask is None:
        return on_grid, None
    return on_grid, (functional.adaptive_avg_pool2d(crop_mask.float(), (shape[0], shape[1])) > 0.999).float()


def kl(surely: Tensor, teacher: Tensor, weight: Tensor, tau: float = 1.0, total: Total = local) -> Tensor:
    """Mean over pixels of KL(teacher || student) at temperature tau, times tau^2 (Hinton et al. 2015, section 2).

    weight: (N, 1, h, w), divided by its own mean, so that it moves attention and not the scale.
    """
    student, soft = _student_at(surely, tau, 1), _teacher_at(teacher, tau, 1)
    return tau**2 * _ratio((weight * _divergence(soft, student, 1)).sum(), weight.sum(), total)


def pixel_weight(teacher: Tensor, boundary: float, small: float) -> Tensor:
    """(N, 1, h, w) weights, 0 where the teacher says nothing, else 1 or more.

    1 + boundary within one cell of another class of the teacher, times what small structures gain: (area of the
    picture's largest class / own area)^small, at most 10; power 1 is inverse frequency. Weighing small regions is
    after ReCo-KD (Lan et al. 2026, arXiv 2601.08301).
    """
    weight = said = _said(teacher)
    if not boundary and not small:
        return said
    label = teacher.max(dim=1, keepdim=True).indices  # several times faster than argmax
    if boundary:
        value = label.to(teacher.dtype)
        highest, lowest = functional.max_pool2d(value, 3, 1, 1), -functional.max_pool2d(-value, 3, 1, 1)
        weight = weight * (1 + boundary * (highest != lowest))
    if small:
        areas = torch.zeros_like(teacher[:, :, 0, 0]).scatter_add_(1, label.flatten(1), said.flatten(1))
        gain = (areas.amax(dim=1, keepdim=True) / areas.clamp(min=1)).pow(small).clamp(1, LARGEST_SMALL_WEIGHT)
        weight = weight * gain.gather(1, label.flatten(1)).view_as(label)
    return weight


def cwd(surely: Tensor, teacher: Tensor, crop: Tensor | None = None, tau: float = 1.0, total: Total = local) -> Tensor:
    """Channel-wise distillation (Shu et al. 2021): KL between softmaxes over space.

    Log-probabilities stand for the logits of both. Space is the crop, where a picture has one, else the grid.
    The mean is over pictures and the classes that the teacher sees there.
    """
    valid = _said(teacher) > 0
    if crop is not None:
        inside = crop > 0.5
        valid = valid & (inside | ~inside.flatten(1).any(dim=1)[:, None, None, None])
    teacher = (teacher * valid).flatten(2)
    student = _student_at(surely.masked_fill(~valid, NOWHERE).flatten(2), tau, 2, always=True)
    soft = _teacher_at(teacher, tau, 2)
    present = (teacher.amax(dim=2, keepdim=True) >= ABSENT).to(soft.dtype)
    return tau**2 * _ratio((_divergence(soft, student, 2) * present).sum(), present.sum(), total)


def dist(surely: Tensor, teacher: Tensor, tau: float = 1.0, total: Total = local) -> Tensor:
    """DIST (Huang et al. 2022, beta = gamma = 1): what one minus two Pearson correlations lose.

    Not times tau^2: a correlation does not fade as the temperature rises.
    """
    student, soft = _student_at(surely, tau, 1).exp(), _teacher_at(teacher, tau, 1)
    return inter_class(student, soft, total) + intra_class(student, soft, total)


def inter_class(student: Tensor, teacher: Tensor, total: Total = local) -> Tensor:
    """Mean over pixels of 1 - correlation over the classes of a pixel's (N, C, h, w) probabilities."""
    student, teacher = student - student.mean(dim=1, keepdim=True), teacher - teacher.mean(dim=1, keepdim=True)
    spread = teacher.square().mean(dim=1)
    rho = _correlation((student * teacher).mean(dim=1), student.square().mean(dim=1), spread)
    counted = (spread > SMALLEST_VARIANCE).to(rho.dtype)
    return _ratio(((1 - rho) * counted).sum(), counted.sum(), total)


def intra_class(student: Tensor, teacher: Tensor, total: Total = local) -> Tensor:
    """Mean over classes of 1 - correlation over the batch's pixels of a class's (N, C, h, w) probabilities.

    Classes that the teacher sees in no picture are left out.
    """
    said = _said(teacher)
    sums = total(torch.cat([(student * said).sum(dim=(0, 2, 3)), teacher.sum(dim=(0, 2, 3)), said.sum()[None]]))
    pixels = sums[-1].clamp(min=1)
    mean = (sums[:-1] / pixels).view(2, 1, -1, 1, 1)
    student, teacher = (student - mean[0]) * said, (teacher - mean[1]) * said
    products = torch.stack(
        [(a * b).sum(dim=(0, 2, 3)) for a, b in ((student, teacher), (student, student), (teacher, teacher))]
    )
    products = total(products) / pixels
    joint, of_student, of_teacher = products[0], products[1], products[2]
    counted = (of_teacher > SMALLEST_VARIANCE).to(joint.dtype)
    return ((1 - _correlation(joint, of_student, of_teacher)) * counted).sum() / counted.sum().clamp(min=1)


def temporal(surely: Tensor, teacher: Tensor, pairs: Tensor | None, total: Total = local) -> Tensor:
    """Mean squared difference of student's and teacher's change of probabilities between neighbours on a cine.

    After the motion-guided temporal loss of Liu et al. 2020 (ECCV), with the teacher's change for the optical flow.
    """
    even = surely.shape[0] // 2 * 2
    student, teacher = surely[:even].exp(), teacher[:even]
    change = (student[1::2] - student[::2]) - (teacher[1::2] - teacher[::2])
    said = _said(teacher)
    counted = said[1::2] * said[::2]
    counted = counted * (0.0 if pairs is None else pairs.to(said.dtype)[:, None, None, None])
    return _ratio((change.square().mean(dim=1, keepdim=True) * counted).sum(), counted.sum(), total)


def _said(teacher: Tensor) -> Tensor:
    """(N, 1, h, w), 1 where the teacher says anything, else 0."""
    return (teacher.sum(dim=1, keepdim=True) > 0).to(teacher.dtype)


def _student_at(surely: Tensor, tau: float, dim: int, *, always: bool = False) -> Tensor:
    """Log-probabilities along an axis at temperature tau; at 1 they are theirs already, unless ``always``."""
    return surely if tau == 1 and not always else (surely / tau).log_softmax(dim=dim)


def _teacher_at(teacher: Tensor, tau: float, dim: int) -> Tensor:
    """Probabilities along an axis at temperature tau, p^(1/tau) made to sum to 1: a softmax of log p / tau."""
    return _normalised(teacher if tau == 1 else teacher.pow(1 / tau), dim)


def _divergence(teacher: Tensor, student: Tensor, dim: int) -> Tensor:
    """KL(teacher || student) along an axis, which stays: probabilities, 0 among them, and log-probabilities."""
    return (teacher * (teacher.clamp(min=1e-30).log() - student)).sum(dim=dim, keepdim=True)


def _normalised(parts: Tensor, dim: int) -> Tensor:
    """Parts that sum to 1 along an axis, or stay 0 where there is nothing."""
    return parts / parts.sum(dim=dim, keepdim=True).clamp(min=1e-12)


def _correlation(joint: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation from a covariance and two variances; its gradient stays finite without any variance."""
    return joint * (first.clamp(min=SMALLEST_VARIANCE) * second.clamp(min=SMALLEST_VARIANCE)).rsqrt()


def _ratio(part: Tensor, whole: Tensor, total: Total) -> Tensor:
    """Part / whole of the totals; 0 where the whole, a sum of weights that are 0 or at least 1, is 0."""
    parts = total(torch.stack([part, whole]))
    return parts[0] / parts[1].clamp(min=1)
