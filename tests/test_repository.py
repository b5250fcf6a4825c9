"""Rules that hold for the repository as a whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import edge3vt
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.shipped import PLACES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
HEAVY = {"av", "cv2", "onnx", "onnxruntime", "openvino", "pydicom", "pygame", "scipy", "tensorrt", "torch"}
DOCUMENTS = {
    "engines/recipes": ("edge3vt.engine.recipe", "EngineRecipe"),
    "calibration/sets": ("edge3vt.calibrate.set", "CalibrationSet"),
    "calibration/tables": ("edge3vt.calibrate.table", "CalibrationTable"),
    "benchmarks/scenarios": ("edge3vt.bench.scenario", "Scenario"),
    "benchmarks/training": ("edge3vt.learn.recipe", "Recipe"),
    "benchmarks/results/learning/*/trainings": ("edge3vt.learn.record", "TrainingRecord"),
    "benchmarks/results/learning/*": ("edge3vt.bench.record", "Record"),
    "benchmarks/results/learning": ("edge3vt.bench.comparison", "Comparison"),
    "benchmarks/results/gain": ("edge3vt.bench.gain", "Gain"),
    "benchmarks/results/drills": ("edge3vt.bench.findings", "Record"),
    "benchmarks/results/following": ("edge3vt.bench.followed", "Record"),
    "benchmarks/results/ceiling": ("edge3vt.bench.ceiling", "Ceiling"),
    "benchmarks/results/floor": ("edge3vt.bench.floor", "Floor"),
    "benchmarks/results/peers": ("edge3vt.bench.standing", "Peers"),
    "benchmarks/results/stages/*": ("edge3vt.bench.baseline", "Baseline"),
    "benchmarks/results/measure": ("edge3vt.clinic.judged", "Record"),
    "benchmarks/results/referee": ("edge3vt.bench.referee", "Referee"),
    "benchmarks/results/sensitivity": ("edge3vt.calibrate.sensitivity", "Sensitivity"),
    "benchmarks/results/study": ("edge3vt.clinic.coverage", "Coverage"),
    "benchmarks/results/*": ("edge3vt.bench.result", "Result"),  # by machine; after those that have other names
}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted((ROOT / "edge3vt").rglob("*.py"))


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after ``statement``."""
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return set(out.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert "edge3vt" in loaded_by("import edge3vt")
    assert not loaded_by("import edge3vt") & HEAVY


def test_importing_core_loads_numpy_only() -> None:
    names = [f"edge3vt.core.{path.stem}" for path in MODULES if path.parent.name == "core" and path.stem != "__init__"]
    loaded = loaded_by(f"import {', '.join(names)}")
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_the_check_on_imports_sees_an_import() -> None:
    assert loaded_by("import cv2") & HEAVY == {"cv2"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_on_a_few_screens(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 300


def test_every_document_loads() -> None:
    for path in chain(*((ROOT / room).rglob("*") for room in ("engines", "calibration", "benchmarks"))):
        place = path.parent.relative_to(ROOT).as_posix()
        if path.suffix not in (".toml", ".json") or place.startswith("engines/build"):
            continue
        known = next((known for known in DOCUMENTS if fnmatch(place, known)), None)
        assert known is not None, f"{path}: no test reads documents of {place}"
        module, name = DOCUMENTS[known]
        read = read_toml if path.suffix == ".toml" else read_json
        read(getattr(import_module(module), name), path)


def test_no_file_in_git_is_large() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split("\0")[:-1]
    assert "pyproject.toml" in names
    large = [name for name in names if (ROOT / name).is_file() and (ROOT / name).stat().st_size > 3 << 20]
    assert not large


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == edge3vt.__version__


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_every_dependency_is_pinned_within_its_bounds(python: str) -> None:
    lines = (ROOT / f"constraints/py{python.replace('.', '')}.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = PYPROJECT["project"]
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), f"{text} for {python}"


def broken_contracts(tree: Path) -> set[str]:
    """Names of the import contracts that do not hold in a copy of the package."""
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    done = subprocess.run(lint, check=False, capture_output=True, text=True, cwd=tree)
    broken = set(re.findall(r"^(.+?) BROKEN", done.stdout, re.MULTILINE))
    kept = len(PYPROJECT["tool"]["importlinter"]["contracts"]) - len(broken)
    assert f"Contracts: {kept} kept, {len(broken)} broken." in done.stdout, done.stdout + done.stderr
    return broken


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "edge3vt", tmp_path / "edge3vt", ignore=lambda _, names: {n for n in names if n == "assets"})
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


FLOORS = "A room imports only from the floors below it"


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/errors.py", "", set()),
        ("core/planted.py", "from edge3vt.picture import clip", {FLOORS}),
        ("picture/planted.py", "def late() -> None:\n    import edge3vt.stream", {FLOORS}),
        ("stream/planted.py", "import edge3vt.engine", {FLOORS}),
        ("core/planted.py", "import scipy", {"core imports NumPy and the standard library only"}),
        ("engine/planted.py", "import torch", {"Only learn imports torch"}),
    ],
)
def test_an_import_against_the_floors_is_seen(tree: Path, module: str, line: str, broken: set[str]) -> None:
    with (tree / "edge3vt" / module).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    assert broken_contracts(tree) == broken


def test_the_wheel_holds_what_is_shipped(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (wheel,) = tmp_path.glob("edge3vt-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    installed = tmp_path / "installed" / "edge3vt"
    assert (installed / "py.typed").is_file()
    assets = ROOT / "edge3vt" / "assets"
    for path in assets.rglob("*"):
        assert (installed / "assets" / path.relative_to(assets)).exists()
    script = "from edge3vt.core.shipped import *\nfor kind in PLACES: print(*documents(kind).values(), sep='\\n')"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
    )
    expected = {p.relative_to(ROOT) for folder, suffix in PLACES.values() for p in (ROOT / folder).glob(f"*{suffix}")}
    assert {Path(line).relative_to(installed / "shipped") for line in ran.stdout.splitlines() if line} == expected
