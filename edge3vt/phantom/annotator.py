"""A simulated annotator: an exact mask as a person would have drawn it.

All sizes are our own choice: no published boundary distance between observers of this view was found. Measured over
150 phantoms of 18-36 weeks at 512 px, each drawn by another person, mean Dice against the exact mask, with 0 for what
was not drawn: pulmonary artery 0.949, arch 0.940, superior vena cava 0.836, trachea 0.853, spine 0.961; under 24
weeks 0.926, 0.918, 0.731, 0.812, 0.949. Of the venae cavae 5 % were not drawn, of the tracheae 3 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from edge3vt.core.anatomy import Structure
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.contour import filled, outlines

Field = NDArray[np.float32]
Inside = NDArray[np.bool_]
_STEEPNESS = 0.15  # of a miss around its half-way size, as a share of that size
_JITTER_SPAN = 4.0  # SDs of jitter that the work on one structure leaves room for
_CRUMB_PX = 4  # a smaller piece of a structure, cut off by the sector's edge, is nothing that people draw


@dataclass(frozen=True, slots=True)
class Annotator:
    """One person's habits.

    jitter_mm: SD of the boundary's random displacement, along its normal. correlation_mm: how far along the boundary
    that displacement is the same (Gaussian, SD). bias_mm: the boundary's systematic displacement, outwards positive.
    click_mm: distance of the points that are clicked and joined by straight lines, 0 for a brush. border_mm: SD of
    where the border between pulmonary artery and arch is seen. half_missed_px, half_missed_mm: the diameter at which
    half of the structures are not drawn. lapse_rate: structures not drawn whatever their size. swap_rate: pictures in
    which superior vena cava and trachea are taken for each other.
    """

    jitter_mm: float
    correlation_mm: float
    bias_mm: float
    click_mm: float
    border_mm: float
    half_missed_px: float
    half_missed_mm: float
    lapse_rate: float
    swap_rate: float

    def missed(self, diameter_mm: float, mm_per_px: float) -> float:
        """How probable it is that a structure of this diameter is not drawn."""
        drawn = 1 - self.lapse_rate
        for size, half in ((diameter_mm / mm_per_px, self.half_missed_px), (diameter_mm, self.half_missed_mm)):
            if half > 0:
                drawn /= 1 + float(np.exp(np.clip((half - size) / (_STEEPNESS * half), -50, 50)))
        return 1 - drawn

    def annotate(self, mask: Mask, mm_per_px: float, rng: np.random.Generator) -> Mask:
        """(H, W) class indices as this person draws them; depends on the arguments only, and changes none."""
        drawn, claims = np.zeros_like(mask), np.full(mask.shape, np.inf, np.float32)
        swapped = rng.uniform() < self.swap_rate
        for structure in sorted(set(Structure) - {Structure.BACKGROUND}):
            pencil = rng.spawn(1)[0]  # its own, so that one structure's shape does not move another's boundary
            label = _SWAPPED.get(structure, structure) if swapped else structure
            pieces, count = ndimage.label(mask == structure, np.ones((3, 3)))
            for i, found in enumerate(ndimage.find_objects(pieces), 1):
                box = _grown(found, mask.shape, self._room_px(mm_per_px))
                piece = pieces[box] == i
                if count > 1 and piece.sum() < _CRUMB_PX:
                    continue
                distance = _signed_mm(piece, mm_per_px)
                lost = pencil.uniform() < self.missed(-2 * float(distance.min()), mm_per_px)
                outlined = self._traced(distance, mm_per_px, pencil) & (distance < claims[box])
                if not lost:
                    drawn[box][outlined], claims[box][outlined] = label, distance[outlined]
        self._move_border(mask, drawn, mm_per_px, rng)
        return drawn

    def _room_px(self, mm_per_px: float) -> int:
        return int((max(self.bias_mm, 0) + _JITTER_SPAN * self.jitter_mm) / mm_per_px) + 2

    def _traced(self, distance: Field, mm_per_px: float, rng: np.random.Generator) -> Inside:
        """The inside of the boundary as it is drawn."""
        moved = (
            distance
            - np.float32(self.bias_mm)
            - np.float32(self.jitter_mm) * _smooth(distance.shape, self.correlation_mm / mm_per_px, rng)
        )
        start = rng.uniform()
        if not self.click_mm:
            return moved < 0
        polygons = []
        for outline in outlines(moved):
            steps = np.hypot(*np.diff(outline, axis=0).T)
            along = np.concatenate([[0], np.cumsum(steps)])
            points = max(round(along[-1] * mm_per_px / self.click_mm), 6)
            at = (np.arange(points) + start) / points * along[-1]
            polygon = np.stack([np.interp(at, along, outline[:, k]) for k in (0, 1)], axis=1)
            polygons.append(np.concatenate([polygon, polygon[:1]]))
        return filled(tuple(polygons), distance.shape[1], distance.shape[0])

    def _move_border(self, mask: Mask, drawn: Mask, mm_per_px: float, rng: np.random.Generator) -> None:
        """Move the border between pulmonary artery and arch, where the two touch, in ``drawn``."""
        shift_mm = float(rng.normal(0, self.border_mm)) if self.border_mm else 0.0
        artery, arch = mask == Structure.PULMONARY_ARTERY, mask == Structure.AORTIC_ARCH
        border = artery & ndimage.binary_dilation(arch)
        if not shift_mm or not border.any():
            return
        reach_px = 4 * self.border_mm / mm_per_px
        box = _grown(ndimage.find_objects(border.astype(np.uint8))[0], mask.shape, int(reach_px) + 2)
        near = ndimage.distance_transform_edt(~border[box]) <= reach_px
        nearer = ndimage.distance_transform_edt(~artery[box]) - ndimage.distance_transform_edt(~arch[box])
        outside = np.isin(drawn[box], (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH), invert=True)
        label = np.where(nearer * mm_per_px < shift_mm, Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH)
        drawn[box] = np.where(outside | ~near, drawn[box], label).astype(np.uint8)


def draw_annotator(rng: np.random.Generator) -> Annotator:
    """A careful to hasty person; half of them click points, half of them paint."""
    click = rng.uniform(1.0, 2.5)
    return Annotator(
        jitter_mm=float(rng.uniform(0.08, 0.25)),
        correlation_mm=float(rng.uniform(0.8, 3.0)),
        bias_mm=float(np.clip(rng.normal(0, 0.08), -0.2, 0.2)),
        click_mm=float(click) if rng.uniform() < 0.5 else 0.0,
        border_mm=float(rng.uniform(0.3, 1.2)),
        half_missed_px=float(rng.uniform(2.5, 5.0)),
        half_missed_mm=float(rng.uniform(0.8, 1.4)),
        lapse_rate=float(rng.uniform(0.0, 0.02)),
        swap_rate=float(rng.uniform(0.0, 0.01)),
    )


_SWAPPED = {
    Structure.SUPERIOR_VENA_CAVA: Structure.TRACHEA,
    Structure.TRACHEA: Structure.SUPERIOR_VENA_CAVA,
}


def _grown(box: tuple[slice, ...], shape: tuple[int, ...], by: int) -> tuple[slice, ...]:
    return tuple(slice(max(s.start - by, 0), min(s.stop + by, size)) for s, size in zip(box, shape, strict=True))


def _signed_mm(inside: Inside, mm_per_px: float) -> Field:
    """Distance of pixel centres to the boundary half-way between pixels, negative inside."""
    if inside.all():  # no boundary to be drawn
        return np.full(inside.shape, -max(inside.shape) * mm_per_px, np.float32)
    within, beyond = ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside)
    signed: Field = (np.where(inside, 0.5 - within, beyond - 0.5) * mm_per_px).astype(np.float32)
    return signed


def _smooth(shape: tuple[int, ...], sigma_px: float, rng: np.random.Generator) -> Field:
    """Gaussian noise of unit variance at each pixel, correlated over ``sigma_px``, free of edge effects."""
    room = int(3 * sigma_px) + 1
    every = max(int(sigma_px / 3), 1)  # drawn coarsely where it is smooth
    coarse = tuple((side + 2 * room) // every + 3 for side in shape)
    sigma = sigma_px / every
    noise = ndimage.gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), sigma, mode="wrap")
    noise *= np.float32(1 / np.sqrt(_power(sigma)))
    if every > 1:
        noise = ndimage.zoom(noise, every, order=1)
    smooth: Field = noise[room : room + shape[0], room : room + shape[1]]
    return smooth


def _power(sigma: float) -> float:
    """Variance of unit white noise after ``gaussian_filter`` in two dimensions."""
    t = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    kernel = np.exp(-0.5 * (t / sigma) ** 2)
    return float(((kernel / kernel.sum()) ** 2).sum()) ** 2
