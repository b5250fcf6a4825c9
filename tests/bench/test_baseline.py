from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge3vt.bench.baseline import Baseline, cleaned
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError


def saved() -> dict[str, Any]:
    return {
        "machine_info": {"node": "cart-of-somebody", "release": "6.1", "cpu": {"brand_raw": "a CPU"}},
        "commit_info": {"id": "abc", "time": "now", "author_time": "now", "dirty": False, "branch": "main"},
        "benchmarks": [{"name": "test_mask[256]", "stats": {"median": 0.001}}],
        "datetime": "2026-01-01",
        "version": "5.3.1",
    }


def test_a_baseline_names_the_machine_by_its_fingerprint_only(tmp_path: Path) -> None:
    path = tmp_path / "0001_quiet.json"
    path.write_text(json.dumps(cleaned(saved())), encoding="utf-8")
    assert "cart-of-somebody" not in path.read_text(encoding="utf-8")
    baseline = read_json(Baseline, path)
    assert baseline.machine_info["machine"]["cores"] > 0
    assert baseline.machine_info["cpu"] == {"brand_raw": "a CPU"}
    assert baseline.commit_info == {"id": "abc", "time": "now", "dirty": False}


def test_a_baseline_with_a_name_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0001_raw.json"
    path.write_text(json.dumps(saved()), encoding="utf-8")
    with pytest.raises(ConfigError, match="save it again"):
        read_json(Baseline, path)
