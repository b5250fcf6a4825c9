"""The region: of the source, a profile, or found; renewed with the layout, and refused outside the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edge3vt.stream.profile as module
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.phantom.cine import Scene
from edge3vt.picture.images import read_image
from edge3vt.stream.profile import Found, Framing, Landmark, Profile, as_toml, chosen, found, learnt, read_profile

SCREENS = Path(__file__).parents[3] / "shared/data/screens"
W, H = 1024, 768


def frames(seed: int, count: int = 3) -> list[Frame]:
    """A phantom's screen whose region is kept secret."""
    scene = Scene(seed, W, H, duration_s=1)
    return [Frame(i, 0, scene.pixels(i / 60)) for i in range(count)]


def region_of(seed: int) -> Region:
    return Scene(seed, W, H, duration_s=1).region


def profile(**changes: object) -> Profile:
    told = {"schema": 1, "name": "ward", "width": W, "height": H, "region": (100, 60, 600, 460)} | changes
    return Profile(**told)  # type: ignore[arg-type]


def test_a_profile_is_read_by_name_or_path_and_says_what_it_was(tmp_path: Path) -> None:
    written = learnt("c1-5 fetal heart", frames(1), region_of(1), 0.2)
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "ward.toml").write_text(as_toml(written), encoding="utf-8")
    assert read_profile("ward", tmp_path) == written
    assert read_profile(str(folder / "ward.toml")) == written
    assert read_toml(Profile, folder / "ward.toml").mm_per_px == 0.2
    with pytest.raises(ConfigError, match="did you mean 'ward'"):
        read_profile("word", tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"region": (100, 60, 1100, 460)},
            r"region is 100,60,1100,460, outside its picture of 1024x768 px; correct it",
        ),
        ({"region": (-1, 60, 600, 460)}, "outside its picture"),
        ({"region": (600, 60, 100, 460)}, "outside its picture"),
        ({"region": (100, 60, 110, 460)}, "at least 32 px"),
        ({"mm_per_px": 7.0}, "mm_per_px is 7"),
        ({"furniture": (Landmark((0, 0, 1025, 20), (0,) * 8),)}, "landmark is 0,0,1025,20, outside"),
        ({"furniture": (Landmark((0, 0, 64, 20), (0,) * 7),)}, "expected 8 of 0 to 255"),
    ],
)
def test_what_cannot_be_is_one_line(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        profile(**changes)
    assert "\n" not in str(error.value)


def test_a_region_outside_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(as_toml(profile()).replace("600", "1900"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"wrong\.toml: region is 100,60,1900,460, outside"):
        read_profile(str(path))


def test_each_screen_gets_its_own_of_several_profiles() -> None:
    seeds = (0, 1, 3, 6)  # four arrangements
    profiles = [learnt(f"screen {seed}", frames(seed), region_of(seed)) for seed in seeds]
    assert all(len(one.furniture) >= 3 for one in profiles)
    for seed in seeds:
        later = Frame(0, 0, Scene(seed, W, H, duration_s=1).pixels(0.7))
        fit = chosen(profiles, later)
        assert fit is not None
        assert (fit[0].name, fit[1] >= 0.6) == (f"screen {seed}", True)
        assert chosen([one for one in profiles if one.name != f"screen {seed}"], later) is None


def test_the_check_on_furniture_sees_a_tolerance_that_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLERANCE", 255)
    assert chosen([learnt("other", frames(1), region_of(1))], frames(2)[0]) is not None


def test_a_profile_without_furniture_fits_every_screen_of_its_size_if_no_other_does() -> None:
    bare, own = profile(name="bare"), learnt("own", frames(1), region_of(1))
    for asked, expected in ((frames(1)[0], "own"), (frames(2)[0], "bare")):
        fit = chosen([bare, own], asked)
        assert fit is not None
        assert fit[0].name == expected
    assert chosen([bare], Frame(0, 0, np.zeros((H, W + 1), np.uint8))) is None


def test_landmarks_are_the_same_in_colour_and_grey() -> None:
    grey = frames(1)
    rgb = [replace(f, pixels=np.repeat(f.pixels[..., None], 3, axis=2), layout=Layout.RGB) for f in grey]
    assert learnt("one", rgb, region_of(1)) == learnt("one", grey, region_of(1))


@pytest.mark.parametrize("seed", [1, 2, 5, 6])
def test_the_sector_of_a_phantom_is_found_within_its_region(seed: int) -> None:
    scene = Scene(seed, W, H, duration_s=1)
    shown = [Frame(i, 0, scene.pixels(i / 60)) for i in range(3)]
    answer = found(shown)
    assert answer is not None
    r, inside = scene.region, np.zeros((H, W), bool)
    rows, columns = np.nonzero(scene.scanner.imaged)
    box = Region(
        r.x0 + int(columns.min()), r.y0 + int(rows.min()), r.x0 + int(columns.max()) + 1, r.y0 + int(rows.max())
    )
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    hit = np.zeros_like(inside)
    hit[answer.region.y0 : answer.region.y1, answer.region.x0 : answer.region.x1] = True
    assert (hit & inside).sum() / (hit | inside).sum() > 0.6
    assert answer.confidence > 0.5


def test_nothing_is_found_where_nothing_is() -> None:
    assert found([Frame(0, 0, np.zeros((480, 640), np.uint8))]) is None
    assert found([]) is None


def test_what_differs_from_picture_to_picture_has_little_confidence() -> None:
    def patch(x: int) -> Pixels:
        picture = np.zeros((480, 640), np.uint8)
        noise = np.random.default_rng(x).integers(60, 160, (300, 200), dtype=np.uint8)
        picture[100:400, x : x + 200] = noise
        return picture

    steady = found([Frame(i, 0, patch(200)) for i in range(3)])
    jumping = found([Frame(i, 0, patch(100 + 150 * i)) for i in range(3)])
    assert steady is not None
    assert jumping is not None
    assert steady.confidence > 0.9
    assert jumping.confidence < 0.3


@pytest.mark.skipif(not SCREENS.is_dir(), reason="the real screens are not here")
def test_the_sector_of_every_real_screen_is_found() -> None:
    for path in sorted(SCREENS.glob("*.png")):
        pixels = read_image(path)
        answer = found([Frame(0, 0, pixels, Layout.RGB if pixels.ndim == 3 else Layout.GRAY)])
        assert answer is not None, path.name
        assert answer.region.width > 300, path.name
        assert answer.region.y0 > 50, "the bar above is left out"


def test_the_source_wins_over_a_profile_and_a_profile_over_what_was_found() -> None:
    framing = Framing([profile(mm_per_px=0.3)])
    own = replace(frames(1)[0], region=Region(1, 2, 300, 400), mm_per_px=0.1)
    assert framing.step(own) is own
    assert framing.placement.origin == "source"
    framed = framing.step(replace(own, region=None, mm_per_px=None))
    assert (framed.region, framed.mm_per_px) == (Region(100, 60, 600, 460), 0.3)
    assert (framing.placement.origin, framing.placement.sure) == ("profile ward", True)
    assert not framing.searching
    assert not framing.place(Found(Region(0, 0, W, H), 1.0), W, H)


def test_what_was_found_is_used_unsure_until_somebody_confirms() -> None:
    framing, frame = Framing(), frames(1)[0]
    assert framing.step(frame).region is None
    assert framing.searching
    assert not framing.place(Found(Region(9, 9, 99, 99), 0.7), 800, 600), "of a format that is gone"
    assert framing.place(Found(Region(9, 9, 99, 99), 0.7), W, H)
    assert framing.step(frame).region == Region(9, 9, 99, 99)
    assert (framing.placement.confidence, framing.placement.sure) == (0.7, False)
    framing.confirm()
    framing.step(frame)
    assert framing.placement.sure
    assert not framing.searching


def test_a_region_is_renewed_with_the_size_or_when_told() -> None:
    wide = profile(name="wide", width=1280, region=(10, 10, 790, 470))
    framing = Framing([profile(), wide])
    assert framing.step(frames(1)[0]).region == Region(100, 60, 600, 460)
    assert framing.step(Frame(1, 0, np.zeros((H, 1280), np.uint8))).region == Region(10, 10, 790, 470)
    assert framing.step(Frame(2, 0, np.zeros((H, 900), np.uint8))).region is None
    assert framing.searching
    framing = Framing([learnt(f"screen {seed}", frames(seed), region_of(seed)) for seed in (1, 2)])
    assert framing.step(frames(1)[0]).region == region_of(1)
    framing.renew()
    assert framing.step(frames(2)[0]).region == region_of(2)


def test_a_profile_is_tried_again_while_none_fits() -> None:
    framing = Framing([learnt("screen", frames(1), region_of(1))])
    splash = Frame(0, 0, np.zeros((H, W), np.uint8))
    assert framing.step(splash).region is None
    screen = frames(1, 1)[0]
    found_at = next(i for i in range(60) if framing.step(screen).region is not None)
    assert found_at <= 31
