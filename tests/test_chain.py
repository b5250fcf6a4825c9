"""The user's own chain: fifty pictures, fine-tuned, calibrated, built, signed, and on a cart without torch and back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli.main import main
from edge3vt.core.digest import sha256_file
from edge3vt.core.frame import Pixels
from edge3vt.engine import keyring
from edge3vt.engine.manifest import read
from edge3vt.picture.images import read_image, write_image
from tests.cart import Cart
from tests.learn.squares import MILD, square

ROOT = Path(__file__).parents[1]
PICTURES, SIZE, ZOOM = 50, 64, 4
HELD_OUT = range(900, 908)
CLASSES = """schema = 1
classes = ["background", "large", "small"]
blanked = true
[labels]
"#ff0000" = "large"
"#0000ff" = "small"
"""
QUICK = [
    f"size={SIZE}", "schedule.steps=60", "schedule.every=20", "schedule.warmup=5", "augmentation.close_share=0.0",
    *(f"augmentation.{name}={value}" for name, value in MILD.items() if name != "close_share"),
]  # fmt: skip
MILDER = ["verify.min_agreement=0.9", "verify.min_dice=0.8", "verify.min_speedup=0.0"]  # sixty steps are few


def made(*words: object) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert not stopped.value.code, words


def with_each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def release(weights: str, init: str, seed: int) -> None:
    """Train, export, calibrate, build over the release before, and pack as SEED.tar: what the README says."""
    start = ["train", "finetune", "--data", "sets/mine", "--init", init, "--seed", seed, "-o", weights]
    made(*start, *with_each("--set", ["patients=30", *QUICK]))
    made("export", weights, "mine.onnx", "--overwrite")
    made("calibrate", "mine.onnx", "sets/mine", "-o", "mine.json", "--overwrite")
    asked = ["name=mine", "model=mine.onnx", "table=mine.json", "golden=sets/mine", *MILDER]
    made("build", "cpu-int8-onnxruntime", *with_each("--set", asked), "--overwrite")
    made("verify", "engines/build/mine")
    made("engines", "export", "engines/build/mine", "-o", f"{seed}.tar")


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The maker's folder after two releases: 1.tar, 2.tar and maker.pub; and a stranger's bundle of the same model."""
    folder = tmp_path_factory.mktemp("maker")
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    for name in range(PICTURES):
        pixels, mask = square(name)
        write_image(folder / "clinic" / "images" / f"{name:04d}.png", pixels)
        write_image(folder / "clinic" / "masks" / f"{name:04d}.png", colours[mask])
    (folder / "clinic.toml").write_text(CLASSES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(keyring.VARIABLE, str(folder / "keys"))
        made("data", "import", "clinic", "sets/mine", "--classes", "clinic.toml", "--patient-from", "file")
        made("data", "split", "sets/mine", "--shares", "0.7,0.15,0.15")
        release("first", "student-s384", 1)
        release("second", "first", 2)
        made("engines", "key", "-o", "maker.pub")
        patch.setenv(keyring.VARIABLE, str(folder / "other-keys"))
        asked = ["name=mine", "model=mine.onnx", "table=mine.json", "golden=sets/mine", *MILDER]
        made("build", "cpu-int8-onnxruntime", *with_each("--set", asked), "-o", "stranger", "--release", 9)
        made("engines", "export", "stranger", "-o", "stranger.tar")
    return folder


def carted(folder: Path, maker: Path, python: Path) -> Cart:
    """A cart with the bundles on a stick, the maker's key, and pictures that no training saw."""
    for name in ("1.tar", "2.tar", "stranger.tar", "maker.pub"):
        shutil.copy(maker / name, folder)
    for seed in HELD_OUT:
        write_image(folder / "live" / f"{seed}.png", np.kron(square(seed)[0], np.ones((ZOOM, ZOOM), np.uint8)))
    return Cart(folder, python, maker)


@pytest.fixture
def cart(maker: Path, tmp_path: Path) -> Cart:
    return carted(tmp_path, maker, Path(sys.executable))


def ran(cart: Cart) -> Pixels:
    """The pictures that ``run`` draws with what is active in the slots, above the band that tells times."""
    summary = cart.told("run", "live/", "seen/", "--engine", "engines/slots/mine", "--offline", "--overwrite")
    assert summary["stream"]["frames"] == len(HELD_OUT)
    drawn = [read_image(path) for path in sorted((cart.folder / "seen").glob("*.png"))]
    return np.stack(drawn)[:, : drawn[0].shape[0] * 3 // 4]


def to_the_cart_and_back(cart: Cart) -> None:
    """A release, a second one, and a step back, with what is drawn after each."""
    cart.told("engines", "trust", "maker.pub")
    assert cart.told("engines", "import", "1.tar")["manifest"]["release"] == 1
    first = ran(cart)
    live = np.stack([read_image(path) for path in sorted((cart.folder / "live").glob("*.png"))])[:, : first.shape[1]]
    assert np.abs(first - live[..., None].astype(np.int16)).max() > 50  # something is drawn at all
    assert cart.told("engines", "import", "2.tar")["manifest"]["release"] == 2
    second = ran(cart)
    assert not np.array_equal(first, second)
    assert cart.told("engines", "rollback", "engines/slots/mine")["manifest"]["release"] == 1
    assert np.array_equal(ran(cart), first)
    assert not (cart.folder / "keys" / keyring.OWN).exists()  # a cart signs nothing


def test_to_the_cart_and_back(cart: Cart) -> None:
    to_the_cart_and_back(cart)


def test_the_engine_was_held_against_its_own_pictures(maker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keyring.VARIABLE, str(maker / "keys"))
    manifest = read(maker / "engines" / "build" / "mine")
    assert (manifest.name, manifest.release, manifest.recipe.golden) == ("mine", 2, "sets/mine")
    assert manifest.spec.classes == ("background", "large", "small")
    assert manifest.chain.weights == sha256_file(maker / "second" / "weights.safetensors")
    assert manifest.chain.onnx == sha256_file(maker / "mine.onnx")
    assert manifest.verify is not None
    assert manifest.verify.frames == 8  # of the validation split: 15 hundredths of fifty


def test_a_foreign_key_is_refused(cart: Cart) -> None:
    assert "not pinned here" in cart.refused("engines", "import", "1.tar")
    cart.told("engines", "trust", "maker.pub")
    assert "not pinned here" in cart.refused("engines", "import", "stranger.tar")
    assert not (cart.folder / "engines" / "slots" / "mine").exists()


def test_a_changed_byte_is_refused(cart: Cart) -> None:
    cart.told("engines", "trust", "maker.pub")
    whole = (cart.folder / "1.tar").read_bytes()
    held = {name: whole.index(name.encode() + b"\0") + 512 + 8 for name in ("bundle.json", "engine.onnx", "table.json")}
    for name, place in held.items():
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (cart.folder / "damaged.tar").write_bytes(damaged)
        assert "damaged.tar" in cart.refused("engines", "import", "damaged.tar"), name
        assert not (cart.folder / "engines" / "slots" / "mine").exists(), name

    cart.told("engines", "import", "1.tar")
    cart.told("engines", "import", "2.tar")
    engine = cart.folder / "engines" / "slots" / "mine" / "b" / "engine.onnx"
    damaged = bytearray(engine.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    engine.write_bytes(damaged)
    assert "engine.onnx" in cart.refused("run", "live/", "--engine", "engines/slots/mine", "--offline")
    cart.told("engines", "rollback", "engines/slots/mine")  # what is whole still runs
    ran(cart)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import torch", "No module named 'torch'"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "this cart has no network"),
        ("open('{maker}/1.tar')", "is on the maker's machine"),
    ],
)
def test_the_cart_is_one(cart: Cart, code: str, said: str) -> None:
    done = cart.run("-c", code.format(maker=cart.maker))
    assert done.returncode == 1
    assert said in done.stderr
    assert "needs torch, which is not installed" in cart.run(
        "-c", "from edge3vt.cli.main import main; main()", "train", "finetune"
    ).stderr  # fmt: skip


def pip(*words: str, cwd: Path) -> None:
    """As the maker calls it, with a network; skips where there is none."""
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    if done.returncode and re.search("connection|name resolution", done.stderr, re.IGNORECASE):
        pytest.skip(f"the index does not answer: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_fresh_machine_needs_only_what_the_bundle_lists(maker: Path, tmp_path: Path) -> None:
    lines = [line.split("#")[0].split() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    wheel, download, install = [line[1:] for line in lines if line[:1] == ["pip"]]
    subprocess.run(["tar", "xf", "2.tar", "wheels.txt"], cwd=maker, check=True)
    pip(*[str(ROOT) if word == "path/to/edge3vt" else word for word in wheel], cwd=maker)
    pip(*download, cwd=maker)

    fresh = tmp_path / "fresh"
    shutil.copytree(maker / "wheels", fresh / "wheels")
    shutil.copy(maker / "wheels.txt", fresh)
    subprocess.run([sys.executable, "-m", "venv", fresh / ".venv"], check=True)
    cart = carted(fresh, maker, fresh / ".venv" / "bin" / "python")
    done = cart.run("-m", "pip", *install)
    assert done.returncode == 0, done.stderr
    assert str(fresh) in cart.run("-c", "import edge3vt; print(edge3vt.__file__)").stdout
    installed = {line.split("==")[0] for line in cart.run("-m", "pip", "freeze").stdout.splitlines()}
    assert "onnxruntime" in installed
    assert not installed & {"torch", "openvino", "cyclonedx-python-lib", "pytest"}  # what this engine does not need
    to_the_cart_and_back(cart)
