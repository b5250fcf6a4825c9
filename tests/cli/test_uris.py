"""URIs of sinks: the viewer's."""

from __future__ import annotations

from typing import Any

import pytest

from edge3vt.cli.uris import open_sink
from edge3vt.core.errors import ConfigError
from edge3vt.viewer import sink as sinks
from edge3vt.viewer.place import Place


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("view://", Place()),
        ("view://:8080", Place(port=8080)),
        ("view://localhost", Place("localhost")),
        ("view://[::1]:8080?screens=3", Place("::1", 8080, screens=3)),
        ("view://0.0.0.0:8080?lan=yes", Place("0.0.0.0", 8080, lan=True)),
        ("view://?lan=no", Place()),
    ],
)
def test_where_the_viewer_listens(uri: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(sinks, "ViewSink", lambda place, say: asked.append((place, say)))
    open_sink(uri, overwrite=False, block=False)
    assert [each for each, _ in asked] == [place]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("view://0.0.0.0:8080", r"add \?lan=yes if that is meant"),
        ("view://cart.local", "'cart.local' is no address"),
        ("view://127.0.0.1:99999", "no port; expected 0 to 65535"),
        ("view://127.0.0.1:x", "no port; expected 0 to 65535"),
        ("view://127.0.0.1/page", "expected an address and a port"),
        ("view://me@127.0.0.1", "expected an address and a port"),
        ("view://?lan=maybe", "lan is 'maybe', expected yes or no"),
        ("view://?lna=yes", "unknown setting 'lna'; did you mean 'lan'"),
        ("view://?screens=many", "screens is 'many', expected a number of browsers"),
        ("view://?screens=0", "screens is 0, expected 1 to 8"),
        ("veiw://", "unknown sink scheme 'veiw'; did you mean 'view'"),
    ],
)
def test_what_is_refused_in_one_line(uri: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refusal:
        open_sink(uri, overwrite=False, block=False)
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)
