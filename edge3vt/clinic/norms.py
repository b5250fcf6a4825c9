"""What is published of the sizes of the three vessels: bands and expected values, each with its source.

A number beside a number: nothing here says what a difference means.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge3vt.core.anatomy import CLASS_NAMES, ZALEL_2004, Structure

PA_AO_WEEKS = 16.0, 24.0
ZALEL_WEEKS = 14.0, 38.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What a measurement can be held against. of: its name. low, high: 95 % of the fetuses measured lay between them.

    mean, sd: theirs; expected: a regression's value at ``at_weeks``, in mm. weeks: of the fetuses it was made from.
    A None stands where the source gives no such figure.
    """

    of: str
    unit: str
    low: float | None
    high: float | None
    mean: float | None
    sd: float | None
    expected: float | None
    at_weeks: float | None
    weeks: tuple[float, float]
    fetuses: int
    source: str

    def words(self) -> str:
        """The reference in one line."""
        name, span = self.of.replace("_", " "), f"{self.weeks[0]:g}-{self.weeks[1]:g} weeks"
        whose = f"({self.fetuses} fetuses of {span}; {self.source})"
        if self.expected is not None:
            return f"{name}: {self.expected:.2f} {self.unit} expected at {self.at_weeks:g} weeks {whose}"
        return f"{name}: mean {self.mean:g}, SD {self.sd:g}, 95 % within {self.low:g}-{self.high:g} {whose}"


PA_AO = Reference(
    of="pa_ao",
    unit="",
    low=0.87,
    high=1.58,
    mean=1.16,
    sd=0.18,
    expected=None,
    at_weeks=None,
    weeks=PA_AO_WEEKS,
    fetuses=966,
    source="Ultrasound Obstet Gynecol 2007",
)


def references(weeks: float | None, unit: str) -> tuple[Reference, ...]:
    """All that applies. weeks: gestational age, None where unknown; unit: "mm" where the spacing is known.

    The band of PA/Ao needs neither, and falls away where the age is known to lie outside its fetuses'. Expected
    diameters (Zalel et al. 2004) need both; their limits are not at hand, so no band is given.
    """
    found = [] if weeks is not None and not PA_AO_WEEKS[0] <= weeks <= PA_AO_WEEKS[1] else [PA_AO]
    if weeks is not None and unit == "mm" and ZALEL_WEEKS[0] <= weeks <= ZALEL_WEEKS[1]:
        found += [_expected(structure, weeks) for structure in ZALEL_2004]
    return tuple(found)


def _expected(structure: Structure, weeks: float) -> Reference:
    return Reference(
        of=f"{CLASS_NAMES[structure]}_width",
        unit="mm",
        low=None,
        high=None,
        mean=None,
        sd=None,
        expected=round(ZALEL_2004[structure].diameter_mm(weeks), 3),
        at_weeks=weeks,
        weeks=ZALEL_WEEKS,
        fetuses=338,
        source="Zalel et al. 2004, Prenat Diagn 24:174-178",
    )
