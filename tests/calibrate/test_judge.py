from __future__ import annotations

import numpy as np
import pytest

from edge3vt.calibrate.judge import VIEW_SCORE, answers_of, dice_judge, digest, masks_of
from edge3vt.calibrate.qdq import insert
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import ArtifactError, DataError
from tests import nets
from tests.calibrate import graphs

MODEL, SPEC = nets.student(64), nets.spec(64)
PICTURES = nets.pictures(2, 64)
TRUTHS = masks_of(MODEL, SPEC, PICTURES)


def test_a_model_agrees_with_its_own_masks_and_less_when_it_is_quantised() -> None:
    judge = dice_judge(SPEC, PICTURES, TRUTHS)
    own = judge(MODEL)
    assert set(own.values()) == {1.0}
    assert set(own) == {CLASS_NAMES[i] for i in np.unique(TRUTHS) if i}
    quantised = judge(insert(MODEL, graphs.table(MODEL, 64)))
    assert quantised.keys() == own.keys()
    assert 0.5 < np.mean(list(quantised.values())) < 1


def test_only_what_a_truth_shows_is_scored_and_a_miss_is_0() -> None:
    truths = [np.zeros((64, 64), np.uint8) for _ in PICTURES]
    truths[0][:2, :2] = 4
    score = dice_judge(SPEC, PICTURES, truths)(MODEL)
    hits, found = int((TRUTHS[0][:2, :2] == 4).sum()), int((TRUTHS[0] == 4).sum())
    assert score == {"trachea": pytest.approx(2 * hits / (4 + found))}
    truths[0][:2, :2] = TRUTHS[0][:2, :2]
    assert list(dice_judge(SPEC, PICTURES, truths)(MODEL)) == [CLASS_NAMES[i] for i in np.unique(truths) if i]


def test_the_view_is_judged_by_what_nine_in_ten_keep_where_its_logits_are_known() -> None:
    _, views = answers_of(MODEL, SPEC, PICTURES)
    assert len(views) == len(PICTURES)
    assert VIEW_SCORE not in dice_judge(SPEC, PICTURES, TRUTHS)(MODEL)
    assert dice_judge(SPEC, PICTURES, TRUTHS, views=views)(MODEL)[VIEW_SCORE] == 0
    moved = [views[0] - 0.25, views[1] + 0.5]
    assert dice_judge(SPEC, PICTURES, TRUTHS, views=moved)(MODEL)[VIEW_SCORE] == pytest.approx(-0.5, abs=1e-5)
    many, one_far = PICTURES * 10, [*(views * 10)[:-1], views[1] + 0.5]
    assert dice_judge(SPEC, many, TRUTHS * 10, views=one_far)(MODEL)[VIEW_SCORE] == pytest.approx(0, abs=1e-5)
    with pytest.raises(DataError, match="2 pictures and 1 logits of the view"):
        dice_judge(SPEC, PICTURES, TRUTHS, views=views[:1])


def test_a_model_without_a_view_has_no_logits_of_it() -> None:
    net = graphs.Net(64)
    net.add("SpaceToDepth", [net.x], "stem", blocksize=4)
    masks, views = answers_of(net.model(16), SPEC, PICTURES)
    assert (len(masks), views) == (2, [])


def test_a_fused_model_may_differ_from_what_the_pairs_say_and_only_a_little() -> None:
    quantised = insert(MODEL, graphs.table(MODEL, 64))
    exact, fused = (masks_of(quantised, SPEC, PICTURES, fused=fused) for fused in (False, True))
    assert np.mean(np.array(exact) == np.array(fused)) > 0.98


def test_truths_that_fit_no_picture_and_models_that_do_not_run_are_refused() -> None:
    with pytest.raises(DataError, match="2 pictures and 1 truths"):
        dice_judge(SPEC, PICTURES, TRUTHS[:1])
    with pytest.raises(DataError, match="0 pictures"):
        dice_judge(SPEC, [], [])
    with pytest.raises(DataError, match="of the same sizes"):
        dice_judge(SPEC, PICTURES, [truth[1:] for truth in TRUTHS])
    with pytest.raises(ArtifactError, match="test-net-1: the model cannot be judged"):
        dice_judge(SPEC, PICTURES, TRUTHS)(b"none")


def test_the_digest_tells_pictures_and_truths_apart() -> None:
    changed = [TRUTHS[0].copy(), TRUTHS[1]]
    changed[0][0, 0] ^= 1
    assert digest(PICTURES, TRUTHS) == digest(list(PICTURES), list(TRUTHS))
    assert len({digest(PICTURES, TRUTHS), digest(PICTURES[::-1], TRUTHS), digest(PICTURES, changed)}) == 3
