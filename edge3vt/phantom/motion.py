"""How a scene moves: heart beat, fetal and probe drift, and a sweep that loses and finds the view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the anatomy lies at one moment. angle in radians; centre in mm, across and in depth of the picture."""

    angle: float
    mirrored: bool
    centre_mm: tuple[float, float]
    dilation: float  # vessel diameter relative to rest
    presence: float  # 1 in the view, 0 in the other picture, between them on the way


@dataclass(frozen=True, slots=True)
class Motion:
    """The movement of one scene of ``duration_s``; the view is there from ``enter_s`` to ``leave_s``."""

    angle: float
    mirrored: bool
    centre_mm: tuple[float, float]
    beat_hz: float
    drift_mm: float
    drift_hz: float
    turn: float
    enter_s: float
    leave_s: float
    sweep_s: float

    def at(self, seconds: float) -> Pose:
        phase = 2 * np.pi * self.drift_hz * seconds
        beat = np.sin(2 * np.pi * self.beat_hz * seconds)
        entering = (seconds - self.enter_s) / self.sweep_s + 0.5
        leaving = (self.leave_s - seconds) / self.sweep_s + 0.5
        return Pose(
            angle=self.angle + self.turn * float(np.sin(0.7 * phase)),
            mirrored=self.mirrored,
            centre_mm=(
                self.centre_mm[0] + self.drift_mm * float(np.sin(phase)),
                self.centre_mm[1] + self.drift_mm * float(np.sin(1.3 * phase + 1)),
            ),
            dilation=1 + 0.05 * float(beat),
            presence=float(np.clip(min(entering, leaving), 0, 1)),
        )


def draw_motion(
    rng: np.random.Generator,
    centre_mm: tuple[float, float],
    duration_s: float,
    *,
    sweep: bool,
    angle: float | None = None,
) -> Motion:
    """Any rotation, both hands, 110-180 beats a minute. With ``sweep`` the view comes late and leaves early."""
    enter, leave = (duration_s * rng.uniform(0.12, 0.2), duration_s * rng.uniform(0.8, 0.88)) if sweep else (-10.0, 1e9)
    return Motion(
        angle=float(rng.uniform(0, 2 * np.pi)) if angle is None else angle,
        mirrored=bool(rng.integers(2)),
        centre_mm=centre_mm,
        beat_hz=float(rng.uniform(110, 180) / 60),
        drift_mm=float(rng.uniform(0.5, 2.5)),
        drift_hz=float(rng.uniform(0.15, 0.4)),
        turn=float(rng.uniform(0.0, 0.08)),
        enter_s=float(enter),
        leave_s=float(leave),
        sweep_s=0.1,
    )
