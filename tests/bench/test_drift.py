"""The judgement of drift on few phantoms: what ships is quiet at home, and a change that is planted is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edge3vt
from edge3vt.bench import drift
from edge3vt.core.documents import read_json
from edge3vt.stream.drift import InputCard

SHIPPED = Path(edge3vt.__file__).parent / "assets" / "student-s384" / "inputs.json"


def test_the_shipped_card_is_quiet_at_home_and_not_abroad(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0)
    planted = {"noise": lambda pixels: noise.integers(0, 255, pixels.shape, dtype=np.uint8)}
    monkeypatch.setattr(drift, "CHANGES", {"as it is": drift.CHANGES["as it is"], **planted})
    drift.main(["judge", str(SHIPPED), "--count", "12"])
    told = json.loads(capsys.readouterr().out)
    assert told["as it is"] <= 1 / 12
    assert told["noise"] == 1.0
    assert told["site B"] >= 0.4


def test_a_card_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge3vt.stream.drift.ENOUGH", 30)  # of a hundred: their middle is the same
    drift.main(["make", str(tmp_path / "inputs.json"), "--count", "36"])
    card = read_json(InputCard, tmp_path / "inputs.json")
    shipped = read_json(InputCard, SHIPPED)
    assert card.size == shipped.size
    assert card.pictures >= 30
    assert np.allclose(card.middle[:3], shipped.middle[:3], atol=12)
    assert shipped.source == f"{drift.PICTURES} {card.source.partition(' ')[2]}"
