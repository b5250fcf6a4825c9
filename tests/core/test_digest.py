from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.digest import read_verified, sha256_bytes, sha256_file
from edge3vt.core.errors import ArtifactError

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


def test_the_published_vector() -> None:
    assert sha256_bytes(b"abc") == sha256_bytes(memoryview(b"abc")) == ABC


def test_a_file_longer_than_one_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == sha256_bytes(data)


def test_the_bytes_that_were_hashed_come_back(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert read_verified(tmp_path / "f", ABC, remedy="build it again") == b"abc"


@pytest.mark.parametrize("bit", [0, 12, 23])
def test_one_flipped_bit_is_refused(tmp_path: Path, bit: int) -> None:
    flipped = bytearray(b"abc")
    flipped[bit // 8] ^= 1 << bit % 8
    (tmp_path / "f").write_bytes(flipped)
    with pytest.raises(
        ArtifactError, match=r"f: SHA-256 is \w{12}…, but ba7816bf8f01… was expected.*; build it again$"
    ):
        read_verified(tmp_path / "f", ABC, remedy="build it again")


def test_missing_and_empty_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ArtifactError, match=r"empty: the file is empty \(0 bytes\); build it again"):
        read_verified(tmp_path / "empty", ABC, remedy="build it again")
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(ArtifactError, match=r"cannot be read \(.*\); build it again"):
            read_verified(path, ABC, remedy="build it again")
