"""A desk over a folder, and a server of it in a process of its own: what tests of the reading page read at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from edge3vt.core.clock import SystemClock
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import DataError
from edge3vt.viewer.drawing import Contour, Drawing
from edge3vt.viewer.reading import serve

STRUCTURES = ("pulmonary_artery", "aortic_arch", "superior_vena_cava", "trachea")
WIDTH, HEIGHT = 320, 240
CASES = ("k7", "q2", "x9")
PLACES = {
    "pulmonary_artery": (60.0, 70.0),
    "aortic_arch": (130.0, 80.0),
    "superior_vena_cava": (190.0, 90.0),
    "trachea": (160.0, 150.0),
}


def ring(x: float, y: float, radius: float = 20.0, count: int = 12) -> tuple[tuple[float, float], ...]:
    angles = np.arange(count) * 2 * np.pi / count
    return tuple((round(x + radius * np.cos(a), 2), round(y + radius * np.sin(a), 2)) for a in angles.tolist())


def proposal(structures: tuple[str, ...] = STRUCTURES) -> tuple[Contour, ...]:
    return tuple(Contour(name, ring(*PLACES[name])) for name in structures)


class FolderDesk:
    """Three pictures, the second and third assisted; what is saved lies in a folder, one document a case."""

    title, structures, cases = "Reading of vessels, part 1", STRUCTURES, CASES

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, case: str) -> bytes:
        x = np.linspace(20, 90 + 20 * CASES.index(case), WIDTH)
        grey = np.tile(x, (HEIGHT, 1)).astype(np.uint8)
        for place in PLACES.values():
            cv2.circle(grey, (round(place[0]), round(place[1])), 20, 5, -1)
        return cv2.imencode(".png", grey)[1].tobytes()

    def given(self, case: str) -> tuple[Contour, ...] | None:
        return {"k7": None, "q2": proposal(STRUCTURES[:3]), "x9": ()}[case]

    def saved(self, case: str) -> Drawing | None:
        path = self.folder / f"{case}.json"
        return read_json(Drawing, path) if path.exists() else None

    def save(self, case: str, drawing: Drawing) -> None:
        write_json(drawing, self.folder / f"{case}.json")


class Full(FolderDesk):
    """Has no room while there is a file ``full`` in its folder."""

    def save(self, case: str, drawing: Drawing) -> None:
        if (self.folder / "full").exists():
            raise DataError("no space left")
        super().save(case, drawing)


class Careless(FolderDesk):
    """The planted bug: says that it has kept what it keeps only once the next one comes."""

    late: tuple[str, Drawing] | None = None

    def save(self, case: str, drawing: Drawing) -> None:
        if self.late is not None:
            super().save(*self.late)
        self.late = (case, drawing)


class Room:
    """Servers of desks, each in a process of its own, forked from one that has loaded all they need."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._mother = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def open(self, folder: Path, *, port: int = 0, kind: str = "FolderDesk", idle_s: float = 20.0) -> Served:
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        print(kind, port, idle_s, folder, file=self._mother.stdin, flush=True)
        pid, _, link = self._mother.stdout.readline().strip().partition(" ")
        return Served(int(pid), link)

    def close(self) -> None:
        """Ends the servers too: each sees its mother's end of a pipe close."""
        self._mother.communicate(timeout=30)


@dataclass(frozen=True)
class Served:
    """A server at work; ``link`` lets one browser in."""

    pid: int
    link: str

    @property
    def port(self) -> int:
        port = urlsplit(self.link).port
        assert port is not None
        return port

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it, and wait until it is gone."""
        os.kill(self.pid, number)
        for _ in range(6000):
            if not os.path.exists(f"/proc/{self.pid}"):
                return
            SystemClock().sleep_until_ns(SystemClock().now_ns() + 5_000_000)
        raise AssertionError(f"process {self.pid} does not end")


def _serve(kind: str, port: int, idle_s: float, folder: Path) -> None:
    desk = {desk.__name__: desk for desk in (FolderDesk, Full, Careless)}[kind](folder)
    serve(desk, port=port, idle_s=idle_s, announce=lambda link: print(os.getpid(), link, flush=True))


def _mother() -> None:
    """Fork a server for each line; end them all when there are no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they leave nothing behind
    children = []
    for line in sys.stdin:
        kind, port, idle_s, folder = line.rstrip("\n").split(" ", 3)
        child = os.fork()
        if not child:
            _serve(kind, int(port), float(idle_s), Path(folder))
            os._exit(0)
        children.append(child)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)


if __name__ == "__main__":
    import edge3vt.viewer.lectern  # noqa: F401 - before the forks

    _mother()
