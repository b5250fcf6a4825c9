from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError
from edge3vt.engine.bundle import BUNDLE, CARD, MODEL, SIGNATURE, TABLE, pack, unpack
from edge3vt.engine.manifest import unseal
from tests import nets

SIZE = 64


@pytest.fixture(scope="module")
def table(fp32: bytes) -> bytes:
    return to_json(observe(fp32, nets.spec(SIZE), nets.pictures(16, SIZE), set_name="some")).encode()


def test_what_was_packed_comes_out_and_any_tar_lists_it(
    engine: Path, tmp_path: Path, fp32: bytes, table: bytes
) -> None:
    sealed = unseal(engine)
    data = pack(sealed, fp32, table, {CARD: b"card"})
    (tmp_path / "b.tar").write_bytes(data)
    found = unpack(tmp_path / "b.tar")
    assert found.engine == sealed.manifest
    assert found.sealed.engine == sealed.engine
    assert (found.files[MODEL], found.files[TABLE], found.files[CARD]) == (fp32, table, b"card")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == [BUNDLE, SIGNATURE, *sorted(found.files)]
        member = archive.extractfile(MODEL)
        assert member is not None
        assert member.read() == fp32


def test_what_does_not_belong_together_is_not_packed(engine: Path, fp32: bytes, table: bytes) -> None:
    sealed = unseal(engine)
    with pytest.raises(ArtifactError, match="made from the model"):
        pack(sealed, nets.student(SIZE, seed=1), table, {})
    for other in (None, table + b" "):
        with pytest.raises(ArtifactError, match=r"table\.json is not the calibration table"):
            pack(sealed, fp32, other, {})


def test_a_signed_bundle_without_a_file_that_it_needs_is_refused(
    engine: Path, tmp_path: Path, fp32: bytes, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge3vt.engine import bundle

    tar = bundle._tar
    for name in (MODEL, TABLE, "engine.onnx", "golden.npz", "manifest.sig"):
        with monkeypatch.context() as patch:
            patch.setattr(bundle, "_tar", lambda files, name=name: tar({k: v for k, v in files.items() if k != name}))

            def fewer(document: object, name: str = name) -> str:
                if isinstance(document, bundle.BundleManifest):
                    document.files.pop(name)
                return to_json(document)

            patch.setattr(bundle, "to_json", fewer)
            (tmp_path / "b.tar").write_bytes(pack(unseal(engine), fp32, table, {}))
        with pytest.raises(ArtifactError, match=f"{name} is (missing|not the calibration table)"):
            unpack(tmp_path / "b.tar")


def test_a_link_to_a_bundle_and_no_file_are_refused(engine: Path, tmp_path: Path, fp32: bytes, table: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(pack(unseal(engine), fp32, table, {}))
    (tmp_path / "link.tar").symlink_to("b.tar")
    with pytest.raises(ArtifactError, match="is a link"):
        unpack(tmp_path / "link.tar")
    os.truncate(tmp_path / "b.tar", 0)
    with pytest.raises(ArtifactError, match="the file is empty"):
        unpack(tmp_path / "b.tar")
    with pytest.raises(ArtifactError, match="is missing"):
        unpack(tmp_path / "gone.tar")
