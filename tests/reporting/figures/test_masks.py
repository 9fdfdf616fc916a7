"""Mask figures: they show the numbers they are given, and nothing where there are none."""

from typing import Any

import pytest
from figure_inputs import curve, lines_of

from ltx.analysis.mask_similarity import MaskSimilarity
from ltx.evaluation.mask_overlap import Overlap
from ltx.reporting.figures import masks


def trial(level: int, density: float, effective: float | None) -> dict[str, Any]:
    return {"task": "task", "finder": "imp", "level": level, "density": density} | {
        "effective_density": effective
    }


def test_the_effective_share_is_that_of_the_weights_kept() -> None:
    trials = [trial(0, 1, None), trial(1, 0.5, 0.4), trial(1, 0.5, 0.5), trial(2, 0.1, 0.0)]
    plot = masks.effective("task", [curve(), curve("snip", 1)], trials)
    assert plot is not None
    assert lines_of(plot).tolist() == [[0.5, pytest.approx(0.9)], [0.1, 0]]  # no point for dense
    assert len(plot.figure.axes[0].lines) == 1  # nothing is known of the other finder
    assert "imp: 0.0% of the weights kept at density 10.00%" in plot.text
    assert masks.effective("task", [curve()], trials[:1]) is None
    assert masks.effective("other", [curve()], trials) is None


def likeness(finder: str, other: str, density: float, shared: float) -> MaskSimilarity:
    whole = Overlap(3, shared, 0.5, 0.01, 0.4, 0.3)
    return MaskSimilarity("task", finder, other, 1, 1, density, density, whole, {})


def test_the_overlap_beyond_chance_is_shown_at_a_density_that_all_reached() -> None:
    found = [
        *(likeness("imp", "imp", 0.5, 0.9), likeness("imp", "imp", 0.1, 0.55)),
        *(likeness("snip", "snip", 0.5, 0.7), likeness("imp", "snip", 0.5, 0.45)),
        likeness("dense", "dense", 0.9, 0.9),
    ]
    plot = masks.overlaps("task", found[:4])
    assert plot is not None
    axes = plot.figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["imp 1", "snip 2"]
    assert [t.get_text() for t in axes.texts] == ["+40.0", "-5.0", "-5.0", "+20.0"]
    assert "imp and snip: -5.0 points" in plot.text
    # Nothing near 90% but the third: the others are missing there.
    all_three = masks.overlaps("task", found)
    assert all_three is not None
    assert [t.get_text() for t in all_three.figure.axes[0].texts].count("-") == 8
    assert masks.overlaps("task", found[:3]) is None
    assert masks.overlaps("other", found) is None
    alone = masks.overlaps("task", found[3:4])  # one seed, two finders
    assert alone is not None
    assert [t.get_text() for t in alone.figure.axes[0].texts] == ["-", "-5.0", "-5.0", "-"]
