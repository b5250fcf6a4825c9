"""How a scene moves: heart beat, fetal and probe drift, hands on the controls, and a sweep through the view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edge3vt.phantom.texture import Field

PULSATION = 0.05  # of a vessel's diameter; our own choice
SWEEP_S = 0.1  # how long one plane takes to dissolve into the next


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the anatomy lies at one moment. angle in radians; centre in mm, across and in depth of the picture."""

    angle: float
    mirrored: bool
    centre_mm: tuple[float, float]
    dilation: float  # vessel diameter relative to rest
    before: float  # share of the plane before the view, 0..1
    after: float  # share of the plane after it

    @property
    def presence(self) -> float:
        """Share of the view's plane."""
        return 1 - self.before - self.after

    def to_anatomy(self, across: Field, depth: Field) -> tuple[Field, Field]:
        """Millimetres of the picture to millimetres of the anatomy's plane; arrays broadcast."""
        dx, dy = across - np.float32(self.centre_mm[0]), depth - np.float32(self.centre_mm[1])
        if self.mirrored:
            dx = -dx
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return c * dx + s * dy, c * dy - s * dx


@dataclass(frozen=True, slots=True)
class Motion:
    """The movement of one scene; the view is there from ``enter_s`` to ``leave_s``.

    steps: (from when on, gain in dB, depth relative to the first) as the operator sets them by hand.
    """

    angle: float
    mirrored: bool
    centre_mm: tuple[float, float]
    beat_hz: float
    drift_mm: float
    drift_hz: float
    turn: float
    enter_s: float
    leave_s: float
    steps: tuple[tuple[float, float, float], ...] = ()

    def at(self, seconds: float) -> Pose:
        """The pose at ``seconds`` from the scene's start."""
        phase = 2 * np.pi * self.drift_hz * seconds
        cycle = 2 * np.pi * self.beat_hz * seconds
        beat = np.sin(cycle) + 0.35 * np.sin(2 * cycle)  # fast up, slow down
        return Pose(
            angle=self.angle + self.turn * float(np.sin(0.7 * phase)),
            mirrored=self.mirrored,
            centre_mm=(
                self.centre_mm[0] + self.drift_mm * float(np.sin(phase)),
                self.centre_mm[1] + self.drift_mm * float(np.sin(1.3 * phase + 1)),
            ),
            dilation=1 + PULSATION * float(beat) / 1.2,
            before=float(np.clip((self.enter_s - seconds) / SWEEP_S + 0.5, 0, 1)),
            after=float(np.clip((seconds - self.leave_s) / SWEEP_S + 0.5, 0, 1)),
        )

    def controls(self, seconds: float) -> tuple[float, float]:
        """Gain in dB, and depth relative to the first, as set at ``seconds``."""
        set_now = [(gain, depth) for start, gain, depth in self.steps if start <= seconds]
        return set_now[-1] if set_now else (0.0, 1.0)


def draw_motion(
    rng: np.random.Generator,
    centre_mm: tuple[float, float],
    duration_s: float,
    *,
    sweep: bool,
    by_hand: bool = False,
    angle: float | None = None,
) -> Motion:
    """Any rotation, both hands, 110-180 beats a minute. With ``sweep`` the view comes late and leaves early.

    by_hand: gain and depth are changed one to four times.
    """
    enter, leave = (duration_s * rng.uniform(0.12, 0.2), duration_s * rng.uniform(0.8, 0.88)) if sweep else (-1e9, 1e9)
    drawn = Motion(
        angle=float(rng.uniform(0, 2 * np.pi)) if angle is None else angle,
        mirrored=bool(rng.integers(2)),
        centre_mm=centre_mm,
        beat_hz=float(rng.uniform(110, 180) / 60),
        drift_mm=float(rng.uniform(0.5, 2.5)),
        drift_hz=float(rng.uniform(0.15, 0.4)),
        turn=float(rng.uniform(0.0, 0.08)),
        enter_s=float(enter),
        leave_s=float(leave),
    )
    if not by_hand:
        return drawn
    times = np.sort(rng.uniform(0.1, 0.95, int(rng.integers(1, 5)))) * duration_s
    steps = tuple(
        (float(t), float(rng.uniform(-8, 8)), float(rng.choice([1.0, rng.uniform(0.85, 1.3)]))) for t in times
    )
    return replace(drawn, steps=steps)
