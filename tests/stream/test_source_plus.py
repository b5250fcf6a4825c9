from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Region
from edge3vt.stream.sources.plus import plus_region

WHOLE = """<?xml version="1.0"?>
<PlusConfiguration version="2.3">
  <DataCollection StartupDelaySec="1.0">
    <Device Id="VideoDevice" Type="MmfVideo">
      <DataSources>
        <DataSource Type="Video" Id="Video" PortUsImageOrientation="MF" {clip} />
      </DataSources>
    </Device>
  </DataCollection>
</PlusConfiguration>
"""
CLIP = 'ClipRectangleOrigin="158 110" ClipRectangleSize="800 600"'


def written(folder: Path, text: str) -> Path:
    path = folder / "plus.xml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("clip", "region"),
    [
        (CLIP, Region(158, 110, 958, 710)),
        ('ClipRectangleOrigin="158 110 0" ClipRectangleSize="800 600 1"', Region(158, 110, 958, 710)),
        ('ClipRectangleSize="800 600"', Region(0, 0, 800, 600)),
    ],
)
def test_the_clip_rectangle_is_the_region(tmp_path: Path, clip: str, region: Region) -> None:
    assert plus_region(written(tmp_path, WHOLE.format(clip=clip))) == region


BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><x>&b;</x>"""
OUTSIDE = (
    """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x ClipRectangleSize="1 1">&a;</x>"""
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WHOLE.format(clip=""), "0 different clip rectangles"),
        (
            WHOLE.format(clip=CLIP).replace("</DataSources>", '<DataSource ClipRectangleSize="9 9"/></DataSources>'),
            "2 diff",
        ),
        (WHOLE.format(clip='ClipRectangleSize="eight 6"'), "expected two whole numbers"),
        (WHOLE.format(clip='ClipRectangleSize="0 600"'), "is empty"),
        (WHOLE.format(clip='ClipRectangleOrigin="-1 2" ClipRectangleSize="10 600"'), "outside the picture"),
        (WHOLE[:200], "not XML"),
        ("", "not XML"),
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
    ],
)
def test_what_is_no_configuration_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as refused:
        plus_region(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="check the path"):
        plus_region(tmp_path / "none.xml")
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        plus_region(written(tmp_path, " " * (1 << 20) + "<x/>"))
