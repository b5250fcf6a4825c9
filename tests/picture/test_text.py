from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edge3vt.picture.text import BOLD, Colour, rendered, text_width_px

AMBER: Colour = (255, 190, 70)


def test_threads_that_render_at_once_get_the_right_letters() -> None:
    words = [f"AI LATE {n} ms of {n * n}" for n in range(200)]
    alone = [rendered(word, 13, AMBER, BOLD) for word in words]
    for _ in range(8):
        rendered.cache_clear()
        text_width_px.cache_clear()
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(rendered, word, 13, AMBER, BOLD) for word in words]
            others = [pool.submit(rendered, word, 21, AMBER) for word in words]
            together = [job.result() for job in jobs]
            assert all(other.result().any() for other in others)
        assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
