"""What of a source no job reads, counted, so that nothing is lost without a word."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edge3vt.data.importers.raw import Job
from edge3vt.picture.images import SUFFIXES

WITHOUT_PICTURES = ("DICOMDIR", "dataset.json", "classes.toml", "labels.txt", "splits_final.json")  # their formats' own


def passed_over(root: Path, jobs: Iterable[Path | Job]) -> dict[str, int]:
    """How many files of each suffix in ``root`` no job reads, and what else was not looked into; hidden ones excepted.

    A LabelMe document without a picture of its name may read any picture, so that none can be said to be left.
    """
    jobs, count = list(jobs), Counter[str]()
    if root.is_dir():
        unsure = any(isinstance(job, Job) and [p.suffix.lower() for p in job.files] == [".json"] for job in jobs)
        taken = {path for job in jobs for path in ([job] if isinstance(job, Path) else job.files)}

        def shut(error: OSError) -> None:
            count["folders that cannot be read"] += 1

        for folder, folders, names in os.walk(root, onerror=shut):
            folders[:] = [name for name in folders if name[0] != "."]
            count["links to folders"] += sum(Path(folder, name).is_symlink() for name in folders)
            for path in (Path(folder, name) for name in names if name[0] != "." and name not in WITHOUT_PICTURES):
                if path not in taken:
                    kind = _kind(path)
                    count[f"{kind} unless a document names them" if unsure and kind in SUFFIXES else kind] += 1
    return {kind: number for kind, number in sorted(count.items()) if number}


def _kind(path: Path) -> str:
    if not path.is_file():
        return "links to nothing" if path.is_symlink() else "no regular file"
    suffix = path.suffix.lower()
    return suffix if suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= 6 else "of other names"
