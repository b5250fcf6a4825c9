"""The words and numbers on a scanner's screen, all of them invented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_STARTS = (
    "Nor",
    "Bel",
    "Tam",
    "Kar",
    "Vel",
    "Sor",
    "Mir",
    "Ost",
    "Lun",
    "Fen",
    "Dra",
    "Hal",
    "Pel",
    "Rin",
    "Zan",
    "Qui",
)
_MIDDLES = ("va", "di", "no", "ra", "li", "mo", "se", "tu", "ka", "be")
_ENDS = ("le", "ren", "dis", "mar", "ton", "val", "sen", "rix", "na", "lund", "tis", "gard")
_HOUSES = ("Clinic", "Klinik", "Hospital", "Prenatal Unit", "Med. Centre", "Women's Care", "Ultrasound")
_PRESETS = ("OB 2/3 Trim", "Fetal Echo", "Cardiac", "2+3.Trim.", "Routine", "Fet.Cardio", "OB General", "OB Late")
_KEYS = ("Gain", "Zoom", "Dual", "Measure", "Text", "Body", "Cine", "Review", "Store", "Res/Spd", "Focus", "THI")


@dataclass(frozen=True, slots=True)
class Captions:
    """What one machine says of itself, its patient and its settings."""

    brand: str
    model: str
    hospital: str
    patient: str
    number: str
    date: str
    clock: str
    preset: str
    header: str
    age: str
    mi: str
    ti: str
    depth: str
    speed: str
    speed_row: str
    rate: int
    gain: int
    power: int
    contrast: int
    persistence: int
    harmonic: str
    steps: tuple[int, int]
    focus: float  # share of the region's height
    beats: str
    stored: int
    status: str
    keys: tuple[str, ...]
    probes: tuple[str, str, str]

    def probe(self, kind: str) -> str:
        """The name of a probe of that kind."""
        return self.probes[("convex", "sector", "linear").index(kind)]

    def settings(self, count: int) -> list[str]:
        """The first rows of a plain column of settings."""
        rows = [self.preset, self.harmonic, f"Pwr {self.power} %", f"Gn {self.gain:3d}", f"C{self.contrast} / M7"]
        rows += [f"P{self.persistence} / E{self.steps[1]}", f"DR {50 + self.contrast}", f"Map {self.steps[0]}", "2D"]
        return rows[:count]

    def pairs(self, count: int) -> list[tuple[str, str]]:
        """Settings as names and values."""
        rows = [
            ("FR", f"{self.rate} Hz"),
            ("Depth", self.depth),
            ("Gain", f"{40 + self.gain}"),
            ("DR", f"{50 + self.contrast}"),
        ]
        rows += [("Power", f"{self.power}%"), ("Freq", self.harmonic), ("Persist", str(self.persistence))]
        rows += [("Map", str(self.steps[0])), ("Edge", str(self.steps[1])), ("Age", self.age)]
        return rows[:count]


def draw_captions(rng: np.random.Generator, bottom_mm: float) -> Captions:
    """Everything from ``rng``, save for the depth, whose text follows ``bottom_mm``."""

    def name() -> str:
        parts = (_STARTS, _MIDDLES, _ENDS) if rng.uniform() < 0.5 else (_STARTS, _ENDS)
        return "".join(str(rng.choice(p)) for p in parts)

    def number(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    low = number(1, 4)
    day, month, year = number(1, 28), number(1, 12), number(2009, 2024)
    hour, minute, second = number(7, 18), number(0, 59), number(0, 59)
    american = rng.uniform() < 0.5
    age = f"{number(18, 36)}w{number(0, 6)}d"
    speed = f"{rng.uniform(1.2, 2.6):.1f}"
    return Captions(
        brand=name(),
        model=f"{'ESXPL'[number(0, 4)]}{number(5, 10)}",
        hospital=f"{name()} {rng.choice(_HOUSES)}",
        patient=f"{name()}, {name()}",
        number=f"{number(10000, 999999):06d}-{number(10, 99)}",
        date=f"{month:02d}/{day:02d}/{year}" if american else f"{day:02d}.{month:02d}.{year}",
        clock=f"{(hour - 1) % 12 + 1}:{minute:02d}:{second:02d} {'AM' if hour < 12 else 'PM'}"
        if american
        else f"{hour:02d}:{minute:02d}:{second:02d}",
        preset=str(rng.choice(_PRESETS)),
        header=f"GA={age}" if rng.uniform() < 0.5 else "",
        age=age,
        mi=f"{rng.uniform(0.5, 1.3):.1f}",
        ti=f"{rng.uniform(0.0, 0.6):.1f}",
        depth=f"{bottom_mm / 10:.1f}cm",
        speed=speed,
        speed_row=f"RS {number(1, 3)}",
        rate=number(24, 118),
        gain=number(-4, 14),
        power=number(70, 100),
        contrast=number(4, 14),
        persistence=number(1, 5),
        harmonic=str(rng.choice(["Har-low", "Har-mid", "HGen", "THI 3.5", "HPen", "H 5.0"])),
        steps=(number(1, 6), number(1, 3)),
        focus=float(rng.uniform(0.35, 0.85)),
        beats=f"{number(110, 180)} bpm" if rng.uniform() < 0.4 else "JPEG",
        stored=number(0, 5),
        status=str(rng.choice(["Ready", "Frozen", "Exam 1", "Cine 112/240", "2D", "Store: image"])),
        keys=tuple(str(k) for k in rng.permutation(np.array(_KEYS))[:6]),
        probes=(f"C{low}-{low + 4}", f"S{low}-{low + 3}", f"L{low + 3}-{low + 9}"),
    )
