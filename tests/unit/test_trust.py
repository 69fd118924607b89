"""Outlines that change with the copy of the picture, or from frame to frame, are not believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from echo_scp.inference.manifest import TrustTable
from echo_scp.model import Flag, Reason, Segmentation, Structure
from echo_scp.segment import segment, segment_keeping
from echo_scp.trust import FRAMES, Agreement, ask_again, asked_again, decide, expected_dice, judge, steadiness
from tests.unit.fakes import FakeEngine, make_clip, make_manifest

SIZE = 64
TABLE = {
    "bias": -1.5,
    "certain": 0.25,
    "mirrored": 0.3,
    "turned": 0.6,
    "refuse_below": 0.8,
    "doubt_below": 0.9,
}
shares = st.floats(0.0, 1.0)


def make_engine(answer, **changes) -> FakeEngine:
    return FakeEngine(make_manifest("segmentation", SIZE, **{"trust": TABLE, **changes}), answer)


def bright_is_ventricle(sureness: float = 20.0):
    """Return a network that goes by what it sees: the copies of a picture get the copies of its answer."""

    def answer(batch):
        logits = np.zeros((len(batch), 4, *batch.shape[2:]), dtype=np.float32)
        logits[:, 1] = sureness * (batch[:, 0] - 0.5)
        return logits

    return answer


def left_is_ventricle(batch):
    """Answer by place: whatever is shown, the LV is on the left."""
    logits = np.zeros((len(batch), 4, *batch.shape[2:]), dtype=np.float32)
    logits[:, 1] = -20
    logits[:, 1, :, : batch.shape[3] // 2] = 20
    return logits


def make_frames(count: int = 9):
    """Return a bright ellipse, off the middle, that shrinks a little."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    radii = np.linspace(1.0, 0.8, count)
    return np.stack([255 * (np.hypot((rows - 30) / 18, (columns - 27) / 11) < radius) for radius in radii]).astype(
        np.uint8
    )


def trust_in(engine, frames):
    clip = make_clip(frames)
    return judge(clip, segment(clip, engine, 16), engine)


def test_answers_that_follow_the_picture_are_believed():
    """Mirrored and turned copies give mirrored and turned outlines."""
    trust = trust_in(make_engine(bright_is_ventricle()), make_frames())

    assert trust.score > 0.95
    assert trust.not_assessed is None
    assert trust.notes == ()


def test_a_canvas_need_not_be_a_square():
    """Copies are turned about the middle of what the network sees."""
    tensor = {"tensor": "frames", "size": SIZE, "mean": 0.0, "std": 1.0, "multiple_of": 8}
    engine = make_engine(bright_is_ventricle(), input=tensor)

    trust = trust_in(engine, make_frames()[:, 4:58])

    assert {batch.shape[2:] for batch in engine.batches} == {(56, SIZE)}
    assert trust.score > 0.95


def test_answers_that_do_not_follow_the_picture_are_refused():
    """What stays on the left when the picture is mirrored was not seen in it."""
    trust = trust_in(make_engine(left_is_ventricle), make_frames())

    assert trust.not_assessed.reason is Reason.UNTRUSTED_SEGMENTATION
    assert "expected at least 0.80" in trust.not_assessed.detail


def test_a_wavering_network_is_believed_less():
    """The same outlines with probabilities near one half count less."""
    sure = trust_in(make_engine(bright_is_ventricle(20.0)), make_frames())
    wavering = trust_in(make_engine(bright_is_ventricle(2.0)), make_frames())

    assert wavering.score < sure.score


def test_an_empty_answer_is_no_agreement():
    """Nothing outlined on any copy is not three times the same outline."""

    def nothing(batch):
        logits = np.zeros((len(batch), 4, *batch.shape[2:]), dtype=np.float32)
        logits[:, 0] = 20
        return logits

    assert trust_in(make_engine(nothing), make_frames()).not_assessed is not None


def test_an_engine_without_constants_is_not_judged():
    """No table, no verdict, and no time spent."""
    engine = make_engine(bright_is_ventricle(), trust=None)
    clip = make_clip(make_frames())
    segmentation = segment(clip, engine, 16)
    runs = len(engine.batches)

    assert judge(clip, segmentation, engine) is None
    assert len(engine.batches) == runs


@pytest.mark.parametrize(("count", "asked"), [(200, FRAMES), (3, 3)])
def test_few_frames_are_asked_again(count, asked):
    """Three runs of a few frames, however long the clip."""
    engine = make_engine(bright_is_ventricle())
    clip = make_clip(make_frames(count))

    judge(clip, Segmentation(np.ones(clip.frames.shape, np.uint8), (Structure.LV_CAVITY,)), engine)

    assert [len(batch) for batch in engine.batches] == [asked] * 3


def test_answers_at_hand_are_not_asked_for_again():
    """What segmenting the clip gave for its frames is taken; only the copies are new, and the verdict is the same."""
    engine = make_engine(bright_is_ventricle(2.0))
    clip = make_clip(make_frames(20))
    segmentation, answers = segment_keeping(asked_again(20), clip, engine, 6)
    expected = judge(clip, segmentation, engine)
    runs = len(engine.batches)

    trust = judge(clip, segmentation, engine, answers)

    assert trust == expected
    assert len(engine.batches) == runs + 2


def test_what_comes_in_from_outside_is_black_to_the_network():
    """A turned copy has corners that the picture does not fill: the value that stands for black, per channel."""
    engine = make_engine(
        lambda batch: np.zeros((len(batch), 4, SIZE, SIZE), np.float32),
        input={"tensor": "frames", "size": SIZE, "channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.5, 0.25)},
    )
    white = np.full((1, 3, SIZE, SIZE), 9, dtype=np.float32)

    ask_again(engine, white)

    turned = engine.batches[2]
    assert turned[0, :, 0, 0] == pytest.approx([-1.0, -0.8, -1.2])
    assert turned[0, :, SIZE // 2, SIZE // 2] == pytest.approx([9, 9, 9])


@pytest.mark.parametrize(
    ("copies", "steady", "refused", "flagged"),
    [
        (0.95, 0.99, False, False),
        (0.85, 0.99, False, True),
        (0.95, 0.85, False, True),
        (0.70, 0.99, True, False),
        (0.95, 0.50, True, False),
    ],
)
def test_the_worse_of_both_decides(copies, steady, refused, flagged):
    """Good copies do not excuse leaps between frames; between the thresholds the number carries a flag."""
    trust = decide(copies, steady, TrustTable(**TABLE))

    assert trust.score == min(copies, steady)
    assert (trust.not_assessed is not None) is refused
    assert [note.flag for note in trust.notes] == ([Flag.DOUBTFUL_SEGMENTATION] if flagged else [])


@given(st.tuples(shares, shares, shares), st.integers(0, 2), shares)
def test_more_agreement_never_lowers_the_score(values, which, better):
    """Each part raises the expected Dice, which stays between 0 and 1."""
    improved = [max(value, better) if k == which else value for k, value in enumerate(values)]

    before, after = (
        float(expected_dice(Agreement(*(np.array([value]) for value in some)), TrustTable(**TABLE))[0])
        for some in (values, improved)
    )

    assert 0 <= before <= after <= 1


def masks_of(*frames):
    return Segmentation(np.stack(frames).astype(np.uint8), (Structure.LV_CAVITY,))


def disc(radius: float):
    rows, columns = np.ogrid[:80, :80]
    return np.hypot(rows - 40, columns - 40) < radius


def test_steady_motion_is_steady_at_any_frame_rate():
    """A ventricle that shrinks, a little or much from frame to frame, is its neighbours' vote."""
    assert steadiness(masks_of(*map(disc, range(30, 20, -1)))) == 1.0
    assert steadiness(masks_of(*map(disc, range(35, 5, -6)))) == 1.0


def test_leaps_between_frames_are_not_steady():
    """Every other frame shows half of the ventricle."""
    leaping = [disc(30) & ((np.arange(80) < 40)[None, :] if index % 2 else True) for index in range(9)]

    assert steadiness(masks_of(*leaping)) < 0.75


def test_two_frames_have_no_neighbours_to_ask():
    """Nothing speaks against them."""
    assert steadiness(masks_of(disc(20), disc(5))) == 1.0


@pytest.mark.parametrize(
    "changes",
    [{"labels": ("background", "lv_myocardium")}, {"labels": ("background", "lv_cavity"), "activation": "sigmoid"}],
    ids=["no LV", "no logits"],
)
def test_a_table_that_does_not_fit_the_engine_is_refused(changes):
    """Trust is of the LV's outline and takes its logits."""
    with pytest.raises(ValidationError, match="trust"):
        make_manifest("segmentation", SIZE, trust=TABLE, output={"tensor": "logits", **changes})
