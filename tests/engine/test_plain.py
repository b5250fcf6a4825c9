from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.errors import ArtifactError
from edge3vt.engine.plain import read_plain


def test_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read_plain(tmp_path / "a", 3, remedy="make it again") == b"abc"


def test_what_is_too_large_empty_or_missing_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"abcd")
    (tmp_path / "empty").touch()
    (tmp_path / "secret").write_bytes(b"a")
    (tmp_path / "link").symlink_to("secret")
    for name, message in (
        ("large", "large has 4 bytes, at most 3 are read; make it again"),
        ("empty", r"the file is empty \(0 bytes\); make it again"),
        ("gone", "gone is missing; make it again"),
        ("link", "link is a link, not a plain file; make it again"),
        (".", "is not a plain file; make it again"),
    ):
        with pytest.raises(ArtifactError, match=message):
            read_plain(tmp_path / name, 3, remedy="make it again")
