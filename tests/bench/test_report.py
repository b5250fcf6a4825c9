"""Figures against targets, and the page that shows them."""

from __future__ import annotations

from edge3vt.bench.report import check, page
from edge3vt.stream.telemetry import Ledger


def test_a_figure_meets_or_misses_its_target_and_no_figure_misses() -> None:
    assert check("a", 0.9, 0.85, at_least=True)["met"]
    assert not check("a", 0.8, 0.85, at_least=True)["met"]
    assert check("b", 0.01, 0.01, at_least=False)["met"]
    assert not check("b", None, 0.01, at_least=False)["met"]


def test_the_page_says_what_was_missed_and_escapes_what_it_is_given() -> None:
    empty = Ledger(16.7).summary()
    text = page(
        title="demo <script>",
        phantom=empty,
        dicom=empty,
        dice={"trachea": 0.5},
        totals_ms=[5.0, 9.0],
        checks=[check("miss rate", 0.2, 0.01, at_least=False)],
        engine={"runtime": "x", "verify": {"passed": True}},
        machine={"cpu": "c & d", "cores": 2, "python": "3.11"},
    )
    assert "<script>" not in text
    assert "c &amp; d" in text
    assert "class=missed" in text
    assert "polyline" in text
