"""Make the shipped student again: ``python -m edge3vt.learn OUT [--negatives FOLDER ...]``.

Renders phantoms, trains, measures on seeds that training never saw, and writes OUT/{student.safetensors,
student.onnx, record.json}. On two CPU cores and with the defaults: about 70 minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from edge3vt import __version__
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import whole_file, write_bytes, write_json
from edge3vt.core.machine import this_machine
from edge3vt.core.spec import ModelSpec
from edge3vt.learn.export import to_onnx
from edge3vt.learn.pictures import SCANS, SIDE, phantom_pictures, real_negatives
from edge3vt.learn.student import STRIDE, Student, parameters_m
from edge3vt.learn.train import Settings, Stage, settings_record, train, validate

NAME, SIZE = "student-s384", 384
TRAINING_SEED, VALIDATION_SEED, TEST_SEED = 1_000_000, 2_000_000, 3_000_000


def main() -> None:
    """Train, measure, export, record."""
    parser = argparse.ArgumentParser(prog="python -m edge3vt.learn", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--negatives", type=Path, nargs="*", default=[], help="real pictures or clips that are not the view"
    )
    parser.add_argument("--phantoms", type=int, default=2000, help=f"fetuses to render, {SCANS} pictures each")
    parser.add_argument("--minutes", type=float, default=60, help="wall time of the training itself")
    parser.add_argument("--cache", type=Path, default=Path("out/phantoms"), help="where rendered phantoms are kept")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.safetensors")
    parser.add_argument("--model-version", default="1")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    asked.cache.mkdir(parents=True, exist_ok=True)

    files = sorted(f for path in asked.negatives for f in (path.iterdir() if path.is_dir() else [path]))
    negatives = real_negatives(files) if files else None
    pictures = phantom_pictures(asked.cache, TRAINING_SEED, asked.phantoms)
    settings = Settings(stages=(Stage(256, 0.25 * asked.minutes), Stage(SIZE, 0.75 * asked.minutes)))
    torch.manual_seed(settings.seed)
    model = Student()
    steps = train(model, pictures, negatives, settings, asked.out, resume=asked.resume)
    model.eval()

    spec = ModelSpec(
        schema=1,
        name=NAME,
        version=asked.model_version,
        classes=CLASS_NAMES,
        height=SIZE,
        width=SIZE,
        stride=STRIDE,
        has_view=True,
        full_range=True,
        training="trained on synthetic images",
    )
    with whole_file(asked.out / "student.safetensors") as partial:
        save_file(model.state_dict(), partial)
    model.load_state_dict(load_file(asked.out / "student.safetensors"))
    write_bytes(asked.out / "student.onnx", to_onnx(model, spec))
    test = phantom_pictures(asked.cache, TEST_SEED, 100)
    record = {
        "schema": 1,
        "name": NAME,
        "version": asked.model_version,
        "made": wall_label(),
        "edge3vt": __version__,
        "command": f"python -m edge3vt.learn OUT --phantoms {asked.phantoms} --minutes {asked.minutes:g} "
        "--negatives (the files under real_negatives)",
        "phantoms": {
            "first_seed": TRAINING_SEED,
            "fetuses": asked.phantoms,
            "pictures": len(pictures),
            "size_px": SIDE,
        },
        "real_negatives": {f.name: sha256_file(f) for f in files},
        "settings": settings_record(settings),
        "steps": steps,
        "parameters_m": round(parameters_m(model), 3),
        "validation": validate(model, phantom_pictures(asked.cache, VALIDATION_SEED, 50), SIZE),
        "test": {
            "weeks_24_36": validate(model, test.part(test.weeks >= 24), SIZE),
            "weeks_18_23": validate(model, test.part(test.weeks < 24), SIZE),
            "site_b": validate(model, phantom_pictures(asked.cache, TEST_SEED, 100, "B"), SIZE),
        },
        "files": {name: sha256_file(asked.out / name) for name in ("student.safetensors", "student.onnx")},
        "machine": this_machine(),
    }
    write_json(record, asked.out / "record.json")


if __name__ == "__main__":
    main()
