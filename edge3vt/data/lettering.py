"""Text in a picture: rows of bright strokes on level ground, as scanners write a name, a date or a setting.

Text upon tissue is not looked for, nor are single letters. Sizes and levels are our own choice. Of 120 pictures with
a name in sans serif of 10 to 32 px on black above the tissue it finds all; none in 224 pictures of a linear probe, 70
pictures of lung clips and 100 phantoms without text; some in each of seven screens of a Voluson and of three DICOM
screens of other makers.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge3vt.core.frame import Pixels, Region

CONTRAST = 60  # grey levels of a stroke over its surroundings
HEIGHT_PX = (5, 40)
STROKE_PX = 9  # a stroke is thinner
LEVEL = 6  # grey levels between the 5th and 95th percentile of the ground around a letter
LETTERS = 3  # side by side, make a word; small ones may run together, so a wide one counts by its width
WIDEST = 10  # heights
SOLID = 0.8  # of a rectangle: a bar, no letters
MOST = 500  # letters that are looked at


def words(luma: Pixels) -> list[Region]:
    """Where (H, W) grey levels look like a word, from left to right."""
    left = _letters(luma)
    found = []
    while left:
        word = [left.pop(0)]
        while (following := _following(word[-1], left)) is not None:
            word.append(following)
            left.remove(following)
        if sum(max(round(letter.width / letter.height), 1) for letter in word) >= LETTERS:
            top, bottom = min(letter.y0 for letter in word), max(letter.y1 for letter in word)
            found.append(Region(word[0].x0, top, max(letter.x1 for letter in word), bottom))
    return found


def _following(letter: Region, others: list[Region]) -> Region | None:
    """The next letter of the same line: about as high, on the same base line, less than a blank away."""
    for other in others:
        gap, base = other.x0 - letter.x1, abs(other.y1 - letter.y1)
        alike = letter.height <= 2 * other.height <= 4 * letter.height
        if alike and -1 <= gap <= 1.2 * letter.height and base <= 0.35 * letter.height:
            return other
    return None


def _letters(luma: Pixels) -> list[Region]:
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE_PX, STROKE_PX))
    strokes = np.asarray(cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, kernel) > CONTRAST, dtype=np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(strokes)
    found = []
    least, most = HEIGHT_PX
    _, _, widths, heights, areas = boxes.T
    fits = (least <= heights) & (heights <= most) & (widths <= WIDEST * heights) & (areas >= least)
    fits &= (widths <= heights) | (areas <= SOLID * widths * heights)
    for index in np.flatnonzero(fits[1:]) + 1:
        x, y, width, height, _ = boxes[index].tolist()
        around = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
        own = cv2.dilate(np.asarray(labels[around] > 0, dtype=np.uint8), np.ones((3, 3), np.uint8))
        ground = np.sort(luma[around][np.asarray(own) == 0])
        if ground.size and int(ground[ground.size * 19 // 20]) - int(ground[ground.size // 20]) <= LEVEL:
            found.append(Region(x, y, x + width, y + height))
        if len(found) == MOST:
            break
    return sorted(found, key=lambda letter: letter.x0)
