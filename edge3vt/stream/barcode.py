"""A frame's number as a bar code in its own pixels, so that what leaves a sink tells which frame it shows.

44 cells in one row, centred at the top of the picture, clear of the status band and of legends in corners: white and
black for reference, 32 bits of the number, 8 bits of its CRC, black and white again. A cell is at least 4 px wide and
16 px high, read in its middle: what H.264 and halved chroma leave of it.
"""

from __future__ import annotations

import zlib

import numpy as np

from edge3vt.core.frame import Pixels, Region

BITS, CHECK_BITS = 32, 8
CELLS = 2 + BITS + CHECK_BITS + 2
ROWS = 16
LEAST_WIDTH, LEAST_HEIGHT = 4 * CELLS, ROWS
LEAST_CONTRAST = 64
"""White and black are 255 grey levels apart when drawn, 219 in limited range; what is nearer than this is no code."""


def place(width: int, height: int) -> Region:
    """Where the code stands in a picture. Raises ValueError where it cannot."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        raise ValueError(f"{width}x{height} px hold no bar code; expected {LEAST_WIDTH}x{LEAST_HEIGHT} or more")
    cell = max(4, width // 2 // CELLS // 2 * 2)
    x0 = (width - cell * CELLS) // 2
    return Region(x0, 0, x0 + cell * CELLS, ROWS)


def draw(luma: Pixels, number: int, *, black: int = 0, white: int = 255) -> None:
    """Write ``number`` (modulo 2**32) into a (H, W) luma plane, in place. Raises ValueError where it has no room."""
    at = place(luma.shape[1], luma.shape[0])
    row = np.where(_cells(number), white, black).astype(np.uint8).repeat(at.width // CELLS)
    luma[at.y0 : at.y1, at.x0 : at.x1] = row


def read(luma: Pixels) -> int | None:
    """The number in a (H, W) luma plane; None where none can be read for certain."""
    height, width = luma.shape
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return None
    at = place(width, height)
    cells = luma[at.y0 + 4 : at.y1 - 4, at.x0 : at.x1].reshape(at.height - 8, CELLS, -1)
    levels = cells[..., 1:-1].mean(axis=(0, 2))
    white, black = (levels[0] + levels[-1]) / 2, (levels[1] + levels[-2]) / 2
    if white - black < LEAST_CONTRAST:
        return None
    bits = levels > (white + black) / 2
    number = int(np.packbits(bits[2 : 2 + BITS]).view(">u4")[0])
    return number if np.array_equal(bits, _cells(number)) else None


def _cells(number: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    word = (number % (1 << BITS)).to_bytes(BITS // 8, "big")
    check = bytes([zlib.crc32(word) & 0xFF])
    bits = np.unpackbits(np.frombuffer(word + check, np.uint8))
    return np.concatenate([[1, 0], bits, [0, 1]]).astype(np.bool_)
