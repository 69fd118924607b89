"""One share out of TensorRT's nested phases."""

from __future__ import annotations

from echo_scp.inference.build_progress import BuildProgress


def make_progress() -> tuple[BuildProgress, list[tuple[str, float]]]:
    told: list[tuple[str, float]] = []
    return BuildProgress(lambda phase, share: told.append((phase, share))), told


def test_steps_of_an_inner_phase_are_parts_of_the_outer_ones_step():
    """2 of 4 inner steps of the second of 2 outer steps are three quarters."""
    progress, told = make_progress()

    progress.start("build", None, 2)
    progress.step("build", 0)
    progress.start("tune", "build", 4)
    progress.step("tune", 0)
    progress.step("tune", 1)

    assert told[-1] == ("tune", 0.75)


def test_the_share_never_goes_back():
    """A phase that starts again tells no smaller share."""
    progress, told = make_progress()

    progress.start("build", None, 2)
    progress.start("tune", "build", 2)
    progress.step("tune", 1)
    progress.finish("tune")
    progress.start("tune", "build", 2)

    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1] == ("tune", 0.5)


def test_the_end_of_the_outermost_phase_is_the_whole():
    """Also when TensorRT left steps out."""
    progress, told = make_progress()

    progress.start("build", None, 5)
    progress.start("tune", "build", 4)
    progress.finish("tune")
    progress.finish("build")

    assert told[-1] == ("build", 1.0)


def test_a_step_of_a_phase_that_is_over_is_ignored():
    """TensorRT's threads may tell late."""
    progress, told = make_progress()

    progress.step("gone", 3)

    assert told == []
