"""How scanners arrange their screens: the layouts of site A, and those of site B, which share nothing with them.

No maker's screen is copied. Grey levels stand for colours as well.
"""

from __future__ import annotations

from edge3vt.phantom.desk import Desk, blackened, keys, measured, open_region, scale


def banner(desk: Desk) -> None:
    """Two rows of cells above, settings over the picture's right corner, grey bar and dots at the left edge."""
    pen, r, u, words, w = desk.pen, desk.region, desk.unit, desk.words, desk.pen.width
    mid, low = r.y0 - 29 * u, r.y0 - 1
    pen.shade((0, r.y0 - 59 * u, 62 * u, low), 58, 30)
    pen.text(31 * u, r.y0 - 56 * u, words.brand, 12, 205, anchor="ma")
    pen.ring(22 * u, r.y0 - 24 * u, 12, 190)
    pen.ring(22 * u, r.y0 - 24 * u, 9, 120)
    pen.text(22 * u, r.y0 - 31 * u, words.brand[0], 13, 220, anchor="ma", bold=True)
    pen.text(40 * u, r.y0 - 30 * u, words.model, 11, 200)
    a, b, c = w * 0.407, w * 0.588, w * 0.674
    pen.shade((a, r.y0 - 58 * u, c, mid - 1), 52, 20)
    pen.shade((w * 0.159, mid, r.x1, low), 50, 18)
    for x in (a, b, c, w * 0.764, w * 0.87):
        pen.box((x, r.y0 - 58 * u if x <= c else mid, x + 1.5, low), 4)
    pen.text((a + b) / 2, r.y0 - 53 * u, words.probe(desk.shown.probe) + "/OB", 17, 232, anchor="ma", bold=True)
    pen.text(
        (a + b) / 2, mid + 5 * u, f"{words.depth} / {words.speed} / {words.rate}Hz", 17, 232, anchor="ma", bold=True
    )
    pen.text(b + 16 * u, r.y0 - 53 * u, f"MI {words.mi}", 17, 232, bold=True)
    pen.text(b + 16 * u, mid + 5 * u, f"TIs {words.ti}", 17, 232, bold=True)
    pen.text(w * 0.162, mid + 5 * u, words.header, 17, 232, bold=True)
    pen.text(w * 0.817, mid + 5 * u, words.date, 17, 232, anchor="ma", bold=True)
    pen.text(r.x1 - 12 * u, mid + 5 * u, words.clock, 17, 232, anchor="ra", bold=True)
    open_region(desk)
    x = r.x1 - 2 * u
    pen.lines(x, r.y0 + 2 * u, words.settings(6), 14, 172, pitch=1.14, anchor="ra", bold=True, spaced=0.06)
    pen.text(x, r.y0 + 98 * u, f"SR {words.steps[0]} / CR {words.steps[1]}", 14, 118, anchor="ra", bold=True)
    pen.shade((r.x0, r.y0 + 28 * u, r.x0 + 12 * u, r.y0 + 228 * u), 240, 8)
    for cm, y in desk.marks():
        wide = 9 * u if cm % 5 == 0 else 3 * u
        pen.box((r.x0 + 27 * u, y, r.x0 + 27 * u + max(wide, 2), y + 2), 235)
    y = desk.focus()
    pen.shape([(r.x0 + 43 * u, y - 4 * u), (r.x0 + 43 * u, y + 4 * u), (r.x0 + 48 * u, y)], 225)
    cx, cy = desk.corner()
    pen.ring(cx, cy, 9, 92, filled=True)
    pen.text(cx, cy - 7 * u, words.brand[0] + words.model[-1], 12, 20, anchor="ma")
    measured(desk, 150, 20)
    blackened(desk)


def ribbon(desk: Desk) -> None:
    """One line above, small settings at the left, scale with numbers and grey bar at the right."""
    pen, r, u, words = desk.pen, desk.region, desk.unit, desk.words
    pen.text(10 * u, 6 * u, words.hospital, 15, 215)
    pen.text(10 * u, 25 * u, words.header or words.number, 13, 175)
    pen.text(pen.width * 0.5, 6 * u, words.probe(desk.shown.probe), 14, 205, anchor="ma")
    pen.text(pen.width * 0.5, 25 * u, words.preset, 13, 175, anchor="ma")
    pen.lines(
        pen.width - 10 * u,
        6 * u,
        [f"{words.date} {words.clock}", f"TIS {words.ti}   MI {words.mi}"],
        14,
        205,
        anchor="ra",
    )
    pen.box((0, 45 * u, pen.width, 46 * u + 1), 70)
    open_region(desk)
    pen.lines(10 * u, r.y0 + 8 * u, [f"FR {words.rate}Hz", words.speed_row, "", *words.settings(9)], 13, 165, pitch=1.3)
    scale(desk, r.x1 + 6 * u, 1, 185, short=5, long=9, every=5, numbers=12)
    pen.shade((r.x1 + 36 * u, r.y0 + 10 * u, r.x1 + 48 * u, r.y0 + 150 * u), 250, 4)
    y = desk.focus()
    pen.shape([(r.x1 + 4 * u, y), (r.x1 - 4 * u, y - 5 * u), (r.x1 - 4 * u, y + 5 * u)], 200)
    cx, cy = desk.corner()
    pen.ring(cx, cy, 9, 200)
    pen.text(cx, cy - 8 * u, words.brand[0], 14, 215, anchor="ma")
    pen.text(r.x1 - 8 * u, pen.height - 22 * u, words.beats, 13, 170, anchor="ra")
    measured(desk, 235, 15, box=False)
    blackened(desk)


def column(desk: Desk) -> None:
    """Settings in a column at the left with values aligned, a row of keys below, a mark of the body's position."""
    pen, r, u, words = desk.pen, desk.region, desk.unit, desk.words
    pen.text(8 * u, 5 * u, words.brand.upper(), 19, 225, bold=True, spaced=0.12)
    pen.text(r.x0, 4 * u, words.patient, 15, 200)
    pen.text(r.x0, 22 * u, words.hospital, 13, 160)
    pen.text(pen.width - 8 * u, 4 * u, words.date, 14, 200, anchor="ra")
    pen.text(pen.width - 8 * u, 22 * u, words.clock, 14, 200, anchor="ra")
    pen.lines(pen.width * 0.66, 4 * u, [f"MI: {words.mi}", f"TIs: {words.ti}"], 14, 200)
    open_region(desk)
    rows = words.pairs(8)
    for i, (key, value) in enumerate(rows):
        y = r.y0 + (40 + 21 * i) * u
        pen.text(8 * u, y, key, 14, 150)
        pen.text(r.x0 - 14 * u, y, value, 14, 215, anchor="ra")
    pen.text(8 * u, r.y0 + 12 * u, f"{words.probe(desk.shown.probe)}", 15, 225, bold=True)
    pen.shade((r.x1 - 16 * u, r.y0 + 14 * u, r.x1 - 6 * u, r.y0 + 130 * u), 245, 10)
    pen.box((r.x1 - 17 * u, r.y0 + 13 * u, r.x1 - 5 * u, r.y0 + 131 * u), None, 120)
    scale(desk, r.x1 - 4 * u, -1, 200, short=4, long=8, every=5)
    pen.text(r.x1 - 6 * u, r.y1 - 18 * u, words.depth, 13, 205, anchor="ra")
    y = desk.focus()
    pen.shape([(r.x1 - 22 * u, y), (r.x1 - 15 * u, y - 5 * u), (r.x1 - 15 * u, y + 5 * u)], 210, filled=False)
    keys(desk, r.y1 + 8 * u, pen.height - 5 * u, 6, 44, 190)
    cx, cy = desk.corner()
    pen.shape([(cx - 6 * u, cy - 7 * u), (cx + 6 * u, cy - 7 * u), (cx, cy + 7 * u)], 215, filled=False)
    x, y = 48 * u, r.y1 - 62 * u
    pen.arc((x - 30 * u, y - 34 * u, x + 30 * u, y + 34 * u), 150, 390, 150)
    pen.arc((x - 18 * u, y - 10 * u, x + 18 * u, y + 36 * u), 200, 340, 150)
    pen.box((x - 3 * u, y - 6 * u, x + 12 * u, y - 2 * u), 230)
    measured(desk, 215, 16, box=False)


def panel(desk: Desk) -> None:
    """Light grey surroundings: a title bar, a panel of small pictures at the right, a status line."""
    pen, r, u, words = desk.pen, desk.region, desk.unit, desk.words
    pen.shade((0, 0, pen.width, 34 * u), 214, 176)
    pen.text(10 * u, 8 * u, words.brand, 18, 40, bold=True)
    pen.text(r.x0 + 90 * u, 9 * u, f"{words.patient}   {words.number}", 15, 35)
    pen.text(pen.width - 10 * u, 9 * u, f"{words.date}  {words.clock}", 15, 35, anchor="ra")
    for i in range(5):
        y = r.y0 + i * 96 * u
        pen.box((r.x1 + 44 * u, y, pen.width - 12 * u, y + 84 * u), 22, 120)
        x = (r.x1 + 44 * u + pen.width - 12 * u) / 2
        fan = [
            (x - 12 * u, y + 10 * u),
            (x + 12 * u, y + 10 * u),
            (x + 44 * u, y + 66 * u),
            (x, y + 76 * u),
            (x - 44 * u, y + 66 * u),
        ]
        if i < words.stored:
            pen.shape(fan, 78)
        pen.text(pen.width - 16 * u, y + 66 * u, str(i + 1), 13, 200, anchor="ra")
    pen.shade((0, pen.height - 26 * u, pen.width, pen.height), 190, 160)
    pen.text(10 * u, pen.height - 22 * u, words.status, 14, 30)
    pen.text(pen.width - 10 * u, pen.height - 22 * u, words.hospital, 14, 30, anchor="ra")
    open_region(desk, 60)
    pen.lines(
        r.x0 + 8 * u,
        r.y0 + 8 * u,
        [words.probe(desk.shown.probe), words.preset, f"{words.rate}Hz {words.depth}"],
        14,
        190,
    )
    pen.lines(
        r.x1 - 8 * u, r.y0 + 8 * u, [f"MI {words.mi}", f"TIs {words.ti}", *words.settings(4)], 14, 175, anchor="ra"
    )
    scale(desk, r.x1 + 4 * u, 1, 40, short=6, long=11, every=1 if desk.shown.mm_per_px < 0.14 else 2, numbers=12)
    pen.shade((r.x0 + 8 * u, r.y0 + 74 * u, r.x0 + 20 * u, r.y0 + 210 * u), 235, 12)
    y = desk.focus()
    pen.shape([(r.x1 - 2 * u, y - 5 * u), (r.x1 - 2 * u, y + 5 * u), (r.x1 - 10 * u, y)], 190)
    cx, cy = desk.corner()
    pen.text(cx, cy - 9 * u, words.brand[0].lower(), 20, 210, anchor="ma", bold=True)
    measured(desk, 225, 16)


def inset(desk: Desk) -> None:
    """Site B: a dark grey desk, the picture framed at its right, all text in a wide column at the left."""
    pen, r, u, words = desk.pen, desk.region, desk.unit, desk.words
    pen.shade((0, 0, r.x0 - 18 * u, pen.height), 74, 46, across=True)
    pen.text(14 * u, 14 * u, words.hospital, 18, 235)
    pen.lines(14 * u, 48 * u, [words.patient, words.number, words.date, words.clock], 17, 205, pitch=1.35)
    for i, (key, value) in enumerate([("Probe", words.probe(desk.shown.probe)), *words.pairs(9)]):
        y = (186 + 30 * i) * u
        pen.box((12 * u, y - 4 * u, r.x0 - 30 * u, y + 22 * u), 92 if i % 2 else 84)
        pen.text(18 * u, y, key, 16, 180)
        pen.text(r.x0 - 36 * u, y, value, 16, 245, anchor="ra")
    pen.text(14 * u, pen.height - 60 * u, f"MI<{words.mi}  TI {words.ti}", 18, 235)
    pen.text(14 * u, pen.height - 32 * u, words.brand.lower(), 22, 160, spaced=0.2)
    pen.text(r.x0, 12 * u, words.preset, 18, 215)
    pen.text(r.x1, 12 * u, f"{words.depth}  {words.rate} fps", 18, 215, anchor="ra")
    open_region(desk, 150)
    pen.shade((r.x0 + 20 * u, r.y1 + 10 * u, r.x0 + 240 * u, r.y1 + 22 * u), 10, 245, across=True)
    scale(desk, r.x0 - 3 * u, -1, 225, short=5, long=11, every=2)
    y = desk.focus()
    pen.shape([(r.x0 + 2 * u, y - 6 * u), (r.x0 + 2 * u, y + 6 * u), (r.x0 + 10 * u, y)], 240)
    cx, cy = desk.corner()
    pen.box((cx - 5 * u, cy - 9 * u, cx + 5 * u, cy + 9 * u), 230)
    measured(desk, 250, 18, box=False)


def drawer(desk: Desk) -> None:
    """Site B: white page with dark letters, a drawer of settings below, centimetres along the top as well."""
    pen, r, u, words = desk.pen, desk.region, desk.unit, desk.words
    pen.text(16 * u, 12 * u, words.brand, 26, 60, bold=True)
    pen.text(pen.width * 0.5, 16 * u, words.patient, 19, 40, anchor="ma")
    pen.text(pen.width - 16 * u, 16 * u, f"{words.date}  {words.clock}", 17, 60, anchor="ra")
    pen.box((0, r.y1 + 30 * u, pen.width, pen.height), 206)
    for i, (key, value) in enumerate([("Transducer", words.probe(desk.shown.probe)), *words.pairs(9)]):
        x, y = pen.width * (0.02 + 0.2 * (i % 5)), r.y1 + (40 + 42 * (i // 5)) * u
        pen.text(x, y, key, 13, 110)
        pen.text(x, y + 16 * u, value, 17, 30, bold=True)
    pen.text(pen.width * 0.02, pen.height - 22 * u, f"{words.hospital}   TIs {words.ti}   MI {words.mi}", 14, 70)
    open_region(desk, 90)
    step = 10 / desk.shown.mm_per_px
    middle = (r.x0 + r.x1) / 2
    for k in range(-int(r.width / 2 / step), int(r.width / 2 / step) + 1):
        pen.box((middle + k * step, r.y0 - 12 * u if k % 5 == 0 else r.y0 - 7 * u, middle + k * step + 1, r.y0 - 2), 60)
    scale(desk, r.x0 - 3 * u, -1, 50, short=6, long=12, every=5, numbers=14)
    pen.shade((r.x0 + 8 * u, r.y1 - 130 * u, r.x0 + 26 * u, r.y1 - 8 * u), 250, 4)
    y = desk.focus()
    pen.shape([(r.x0 - 2 * u, y), (r.x0 - 11 * u, y - 6 * u), (r.x0 - 11 * u, y + 6 * u)], 40)
    cx, cy = desk.corner()
    pen.shape([(cx, cy - 9 * u), (cx + 9 * u, cy), (cx, cy + 9 * u), (cx - 9 * u, cy)], 225, filled=False)
    measured(desk, 245, 22)


def matrix(desk: Desk) -> None:
    """Site B: an older machine, dot-matrix letters on black, scale and grey bar at the right of a narrow picture."""
    pen, r, u, words = desk.pen, desk.region, desk.unit, desk.words
    pen.text(r.x0, 8 * u, words.hospital.upper(), 12, 255)
    pen.text(pen.width - 12 * u, 8 * u, f"{words.date} {words.clock}", 12, 255, anchor="ra")
    pen.text(r.x0, 26 * u, f"ID {words.number}   {words.patient.upper()}", 12, 255)
    open_region(desk)
    rows = [f"{key.upper():<6}{value:>7}" for key, value in words.pairs(9)]
    pen.lines(
        pen.width - 12 * u, r.y0 + 40 * u, [words.probe(desk.shown.probe), "", *rows], 12, 255, pitch=1.7, anchor="ra"
    )
    scale(desk, r.x1 + 8 * u, -1, 255, short=6, long=12, every=5)
    for i in range(16):
        pen.box((r.x1 + 16 * u, r.y1 - (20 + 9 * i) * u, r.x1 + 34 * u, r.y1 - (12 + 9 * i) * u), 16 + 15 * i)
    y = desk.focus()
    pen.text(r.x1 + 14 * u, y - 6 * u, "<", 12, 255)
    pen.text(
        r.x0,
        pen.height - 20 * u,
        "   ".join(f"F{i + 1} {key.upper()}" for i, key in enumerate(words.keys[:5])),
        12,
        255,
    )
    cx, cy = desk.corner()
    pen.box((cx - 4 * u, cy - 4 * u, cx + 4 * u, cy + 4 * u), 255)
    measured(desk, 255, 12, box=False)
