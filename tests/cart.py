"""A cart for tests: another process with keys of its own, that has no torch, no network and no sight of the maker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge3vt.engine.keyring import VARIABLE

RULES = '''"""Python imports this before anything else: what a cart does not have."""
import os
import sys
from importlib.machinery import PathFinder

AWAY, ABSENT = os.environ["MAKER"], {"torch", "safetensors", "lightning_fabric", "monai", "cyclonedx"}


class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else PathFinder.find_spec(name, path, target)


def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("this cart has no network")
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(AWAY):
        raise OSError(f"{arguments[0]}: is on the maker's machine")


sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
sys.addaudithook(refuse)
'''


@dataclass(frozen=True, slots=True)
class Cart:
    """folder: where it works. python: its interpreter. maker: the folder that it cannot see."""

    folder: Path
    python: Path
    maker: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Python with ``words``, and only what a cart has."""
        rules = self.folder / "rules"
        rules.mkdir(exist_ok=True)
        (rules / "sitecustomize.py").write_text(RULES)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("EDGE3VT", "PYTHON", "PIP"))
        }
        environment |= {
            VARIABLE: str(self.folder / "keys"),
            "MAKER": str(self.maker),
            "PYTHONPATH": str(rules),
            "NO_COLOR": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }
        if self.python == Path(sys.executable):
            environment["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[1])
        return subprocess.run(
            [str(self.python), *map(str, words)],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def told(self, *words: object) -> dict[str, Any]:
        """The document of a verb that passed."""
        done = self._verb(*words, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["passed"]
        return found

    def refused(self, *words: object) -> str:
        """The one line of a verb that refused."""
        done = self._verb(*words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
        return done.stderr

    def _verb(self, *words: object) -> subprocess.CompletedProcess[str]:
        return self.run("-c", "from edge3vt.cli.main import main; main()", *words)
