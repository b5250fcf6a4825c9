"""The README's commands and code, run as a reader would run them, in a new folder."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from edge3vt.core.clock import SystemClock
from edge3vt.core.segmentation import Segmentation
from edge3vt.phantom.cine import Scene
from edge3vt.picture.images import write_image
from edge3vt.stream.sources.dicom import DicomSource

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data"
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.split("#")[0].strip() for line in TEXT.splitlines() if line.startswith("edge3vt ")]
(CODE,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
UNSURE = " ".join(  # as a network of seconds is: INT8 tips what nearly ties
    f"--set verify.{limit}" for limit in ("min_agreement=0.7", "min_dice=0", "max_mean_error=0.3", "max_peak_error=0.8")
)
SHORTER = {
    "phantom://7?seconds=10": "phantom://7?seconds=1",
    "100": "8",
    "15": "0.1",
    "golden=sets/usgra": f"golden=sets/usgra {UNSURE}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader has a clip.dcm, a clip.mp4, and the pictures of usgra-seg or others like them."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copy(ROOT / "docs" / "usgra-seg.toml", folder)
    if (REAL / "usgra-seg").is_dir():
        for path in sorted((REAL / "usgra-seg").rglob("*.png")):
            if int(path.stem) % 3 == 0:  # 73 of 224: fifty to train on
                part = folder / path.relative_to(REAL)
                part.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, part)
    else:
        for split, name in itertools.product(("train", "test"), range(8)):
            scene = Scene(name + 10 * (split == "test"), 320, 240, kind="arm")
            colours = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
            for kind, pixels in (("images", scene.pixels(0)), ("masks", colours[scene.truth(0)])):
                write_image(folder / "usgra-seg" / split / kind / f"{name:04d}.png", pixels)
    clip = get_testdata_file("examples_ybr_color.dcm", download=False)
    shutil.copy(str(clip), folder / "clip.dcm")
    with av.open(str(folder / "clip.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for level in range(12):
            picture = np.full((240, 320, 3), 20 * level, dtype=np.uint8)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode(None))
    return folder


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_says(command: str, folder: Path) -> None:
    words = shlex.split(" ".join(SHORTER.get(word, word) for word in shlex.split(command)))
    script = Path(sys.executable).with_name(words[0])
    environment = os.environ | {"SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    done = subprocess.run(
        [str(script), *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for output in words[3:4]:
        if "://" not in output and not output.startswith("-"):
            assert (folder / output).exists()


def test_the_loop_in_python_runs_as_printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert Path("engines/build/cpu-int8").is_dir(), "the commands above built the engine"
    names: dict[str, object] = {"frames": DicomSource(Path("clip.dcm"), SystemClock(), paced=True)}
    exec(compile(CODE, "README.md", "exec"), names)
    seg, lane = names["seg"], names["lane"]
    assert isinstance(seg, Segmentation)
    assert seg.frame.index == 29
    lane.close()  # type: ignore[attr-defined]
