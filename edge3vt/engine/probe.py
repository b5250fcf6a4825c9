"""A first run in a child process: some runtimes crash outright on some models, and a crash must not be ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edge3vt.core.errors import ArtifactError, Edge3vtError
from edge3vt.engine.manifest import unseal
from edge3vt.engine.open import open_engine, open_sealed

TIME_LIMIT_S = 120


def probe(directory: Path) -> None:
    """Open the engine in ``directory`` in a child, which also runs it, on its golden frames where it has them.

    Raises ArtifactError if the child fails.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-m", "edge3vt.engine.probe", str(directory)]
    advice = "try the recipe's other runtime"
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(f"{directory.name}: the engine did not open in {TIME_LIMIT_S} s; {advice}") from error
    if done.returncode < 0:
        raise ArtifactError(f"{directory.name}: the runtime crashed on it (signal {-done.returncode}); {advice}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise ArtifactError(f"{directory.name}: the engine does not open: {lines[-1]}")


def main() -> None:
    try:
        folder = Path(sys.argv[1])
        sealed = unseal(folder)  # while it is being built, its golden frames are not chosen yet
        (open_sealed(sealed, folder) if sealed.golden is None else open_engine(folder)).close()
    except Edge3vtError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
