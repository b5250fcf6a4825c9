"""Augmentation for ultrasound: other depths, sectors, turns and zooms, other gains, and what spoils a real picture.

What moves pixels is one Geometry, through which picture and mask are both sampled once; the rest only changes grey
levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.geometry import NODE_PX, Field, Geometry, nodes, sampled, spread, whole
from edge3vt.picture.colour import FULL_RANGE

LIMITED_RANGE: Pixels = np.round(np.arange(256) * 219 / 255 + 16).astype(np.uint8)
"""Full-range luma to limited range (16-235), as a table."""
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often each change is made (a share; 0 leaves it out) and between which bounds it is drawn, evenly.

    The sector: factors of its opening angle and of the depth that it shows, about the picture's middle.
    The square: the whole picture, or, for close_share, what lies between that (closeness 0) and a square of close_mm
    (the whole over close_multiple where the scale is unknown) around the structures (1); its side times side, its
    place moved by up to shift sides. Turned pictures lie at any angle, the others upright.
    Grey levels, of 255: contrast is a factor, gain an offset of all that is not black, lift one of all. Shadow: share
    of the light it takes, and half its angle in rad. Speckle: standard deviation of a factor, grain its size in px.
    Haze: grey levels, near the probe. range_share: read with the wrong one of full and limited range. Codec: JPEG
    quality, whose 8 px blocks are those of video codecs too.
    """

    sector_share: float = 0.4
    opening: Bounds = (0.8, 1.25)
    depth: Bounds = (0.85, 1.18)
    close_share: float = 0.3
    closeness: Bounds = (0.0, 1.0)
    close_mm: float = 45.0
    close_multiple: float = 2.5
    side: Bounds = (0.85, 1.2)
    shift: float = 0.06
    turn_share: float = 0.5
    mirror_share: float = 0.5
    contrast: Bounds = (0.7, 1.4)
    gain: Bounds = (-16.0, 22.0)
    gamma: Bounds = (0.65, 1.5)
    lift_share: float = 0.3
    lift: Bounds = (0.0, 18.0)
    range_share: float = 0.15
    shadow_share: float = 0.25
    shadow: Bounds = (0.3, 0.95)
    shadow_rad: Bounds = (0.03, 0.2)
    speckle_share: float = 0.35
    speckle: Bounds = (0.05, 0.3)
    grain_px: Bounds = (1.0, 4.0)
    haze_share: float = 0.3
    haze: Bounds = (15.0, 110.0)
    blur_share: float = 0.3
    blur_px: Bounds = (0.3, 1.6)
    codec_share: float = 0.3
    quality: Bounds = (20.0, 85.0)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ConfigError(f"augmentation: {field.name} is {value}, expected the smaller bound first")
            if field.name.endswith("_share") and not 0 <= value <= 1:
                raise ConfigError(f"augmentation: {field.name} is {value}, expected a share from 0 to 1")
        for name in ("opening", "depth", "side", "gamma", "grain_px", "blur_px"):
            if getattr(self, name)[0] <= 0:
                raise ConfigError(f"augmentation: {name} begins at {getattr(self, name)[0]}, expected more than 0")
        if not 0 <= self.closeness[0] <= self.closeness[1] <= 1:
            raise ConfigError(f"augmentation: closeness is {self.closeness}, expected bounds from 0 to 1")
        if self.close_mm <= 0 or self.close_multiple < 1:
            raise ConfigError("augmentation: close_mm is not above 0 or close_multiple below 1; correct it")


def augmented(
    pixels: Pixels,
    mask: Mask,
    mm_per_px: float | None,
    augmentation: Augmentation,
    rng: np.random.Generator,
    size: int,
) -> tuple[Pixels, Mask]:
    """A (H, W) picture and its mask, changed as ``rng`` draws: two new (size, size) arrays, the same for its state.

    mm_per_px: of ``pixels``, None where unknown. Raises ValueError when picture and mask differ in shape.
    """
    geometry = draw_geometry(mask, mm_per_px, augmentation, rng, size)
    picture, moved = sampled(pixels, mask, geometry)
    return spoiled(picture, geometry, augmentation, rng), moved


def draw_geometry(
    mask: Mask, mm_per_px: float | None, augmentation: Augmentation, rng: np.random.Generator, size: int
) -> Geometry:
    """Sector, square, turn and hand for a picture with this mask."""
    a, (height, width) = augmentation, mask.shape
    largest = max(height, width)
    apex = (width / 2, -height * float(rng.uniform(0.1, 1.0)))
    bent = rng.uniform() < a.sector_share
    opening, depth = (_log_uniform(rng, bounds) if bent else 1.0 for bounds in (a.opening, a.depth))
    sector = replace(whole(height, width, size), apex=apex, pivot=height / 2 - apex[1], opening=opening, depth=depth)
    closest = min(a.close_mm / mm_per_px if mm_per_px else largest / a.close_multiple, largest)
    closeness = float(rng.uniform(*a.closeness)) if rng.uniform() < a.close_share else 0.0
    side = largest ** (1 - closeness) * closest**closeness * _log_uniform(rng, a.side)
    left, top, w, h = cv2.boundingRect(mask)
    elsewhere = rng.uniform(0.2, 0.8, 2) * (width, height)
    target = sector.on_sector(*((left + w / 2, top + h / 2) if w else (float(elsewhere[0]), float(elsewhere[1]))))
    shift = rng.uniform(-a.shift, a.shift, 2) * side
    near = 1 - (1 - closeness) ** 2  # half-way in, the square already lies mostly around the structures
    x, y = (m + (t - m) * near + float(s) for m, t, s in zip(sector.centre, target, shift, strict=True))
    turn = float(rng.uniform(0, 2 * math.pi)) if rng.uniform() < a.turn_share else 0.0
    return replace(sector, centre=(x, y), side=side, turn=turn, mirrored=bool(rng.uniform() < a.mirror_share))


def spoiled(picture: Pixels, geometry: Geometry, augmentation: Augmentation, rng: np.random.Generator) -> Pixels:
    """What body, scanner and recorder do to a picture, in that order."""
    a, size = augmentation, geometry.size
    shadow, speckle, haze, blur, lift, codec, wrong_range = rng.uniform(size=7) < (
        a.shadow_share,
        a.speckle_share,
        a.haze_share,
        a.blur_share,
        a.lift_share,
        a.codec_share,
        a.range_share,
    )
    if shadow or speckle or haze:
        noise = _grain(rng, size, a.grain_px) if speckle or haze else None
        light = _shadow(geometry, a, rng) if shadow else np.ones((size, size), np.float32)
        if speckle and noise is not None:
            light = light * (1 + np.float32(rng.uniform(*a.speckle)) * noise)
        out = cv2.multiply(picture, light, dtype=cv2.CV_32F)
        if haze and noise is not None:
            out = cv2.add(out, _haze(picture, geometry, a, rng) * (1 + np.float32(0.3) * noise))
        picture = np.clip(out, 0, 255).astype(np.uint8)
    if blur:
        x, y = rng.uniform(*a.blur_px, 2)
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(x), sigmaY=float(y)), dtype=np.uint8)
    picture = np.asarray(cv2.LUT(picture, _tone(a, rng, lifted=bool(lift))), dtype=np.uint8)
    if codec:
        quality = [cv2.IMWRITE_JPEG_QUALITY, round(float(rng.uniform(*a.quality)))]
        coded = cv2.imencode(".jpg", picture, quality)[1]
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    if wrong_range:
        picture = np.asarray(cv2.LUT(picture, LIMITED_RANGE if rng.uniform() < 0.7 else FULL_RANGE), dtype=np.uint8)
    return picture


def _tone(augmentation: Augmentation, rng: np.random.Generator, *, lifted: bool) -> Pixels:
    """Gamma, contrast, gain and lift as one table."""
    a, grey = augmentation, np.linspace(0, 1, 256)
    curve = 255 * grey ** _log_uniform(rng, a.gamma) * _log_uniform(rng, a.contrast)
    curve += float(rng.uniform(*a.gain)) * np.minimum(grey * 12, 1) + (float(rng.uniform(*a.lift)) if lifted else 0)
    return np.clip(np.round(curve), 0, 255).astype(np.uint8)


def _grain(rng: np.random.Generator, size: int, grain_px: Bounds) -> Field:
    """(size, size) noise of mean 0 and about unit variance, in grains of their own width and height."""
    width, height = (math.ceil(size / grain) for grain in rng.uniform(*grain_px, 2))
    coarse = rng.standard_normal((height, width), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _shadow(geometry: Geometry, augmentation: Augmentation, rng: np.random.Generator) -> Field:
    """(size, size) factors: a wedge behind a point of the picture, away from the probe."""
    angle, reach = geometry.polar(*nodes(geometry.size))
    at = rng.uniform(0.1, 0.9, 2).astype(np.float32) * geometry.size
    middle, start = (float(v) for v in geometry.polar(at[0], at[1]))
    half, depth = float(rng.uniform(*augmentation.shadow_rad)), float(rng.uniform(*augmentation.shadow))
    edge = 0.1 * geometry.side + NODE_PX * geometry.side / geometry.size
    inside = np.clip((half - np.abs(angle - middle)) / (0.4 * half) + 0.5, 0, 1)
    behind = np.clip((reach - start) / edge, 0, 1)
    factor: Field = 1 - np.float32(depth) * (inside * behind).astype(np.float32)
    return spread(factor, geometry.size, NODE_PX)


def _haze(picture: Pixels, geometry: Geometry, augmentation: Augmentation, rng: np.random.Generator) -> Field:
    """(size, size) grey levels: cloudy, strongest near the probe, only where the sector is."""
    _, reach = geometry.polar(*nodes(geometry.size))
    count = len(reach)
    clouds = cv2.resize(rng.uniform(0.2, 1, (5, 5)).astype(np.float32), (count, count), interpolation=cv2.INTER_CUBIC)
    far = geometry.side * float(rng.uniform(0.3, 1.2))
    near = np.exp(-np.maximum(reach + geometry.apex[1], 0) / far)  # the probe's face is the top of the source
    coarse = cv2.resize(picture, (count - 2, count - 2), interpolation=cv2.INTER_AREA)
    lit = cv2.morphologyEx((coarse > 1).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    sector = cv2.copyMakeBorder(cv2.erode(lit, np.ones((3, 3), np.uint8)), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    level = float(rng.uniform(*augmentation.haze)) * np.asarray(clouds) * near * np.asarray(sector)
    return spread(level.astype(np.float32), geometry.size, NODE_PX)


def _log_uniform(rng: np.random.Generator, bounds: Bounds) -> float:
    return math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))
