"""Connectivity: means over seeds of what was measured, by level and by place, and nothing else."""

import math

import numpy as np
import pytest
from compared_copies import compared

from ltx.analysis import instability_curves
from ltx.analysis.instability_curves import StabilityCurve
from ltx.evaluation.instability import WeightDistance
from ltx.study.results import StabilityResult


def strand(*found: StabilityResult) -> StabilityCurve:
    (only,) = instability_curves.stability_curves(found, ["imp", "reinit"])
    return only


def test_a_spot_has_the_means_of_its_seeds() -> None:
    flat = compared(1, 0, errors=(0.17, 0.16, 0.2))
    (spot,) = strand(flat, compared(1, 1, middle=0.25)).points
    assert (spot.level, spot.density, spot.seeds, spot.stable) == (1, 0.5, 2, 1)
    # An end is the largest error of the first: 0.015 above the mean of the ends.
    assert spot.height.mean == pytest.approx((0.015 + 0.1) / 2)
    assert spot.errors == pytest.approx((0.135, 0.205, 0.2))
    assert spot.distance.mean == pytest.approx((3 / 2 + 4 / 2) / 2)
    assert (spot.angle.mean, spot.angle.count) == (90, 2)
    assert (spot.pruned_distance.mean, spot.pruned_angle.mean) == (0.5, 30)


def test_the_dense_network_is_not_told_how_stable_it_is_to_pruning() -> None:
    (spot,) = strand(compared(0)).points
    assert math.isnan(spot.pruned_distance.mean)
    assert math.isnan(spot.pruned_angle.mean)
    assert math.isnan(spot.angle.mean)
    assert spot.angle.count == 0
    (spot,) = strand(compared(1, to_pruning=None)).points
    assert math.isnan(spot.pruned_distance.mean)


def test_every_finder_and_place_is_a_strand_of_its_own_in_order_of_levels() -> None:
    found = [
        *(
            compared(level, finder=finder, at=at)
            for finder in ("reinit", "imp")
            for level in (1, 0)
            for at in ("ticket", "10%")
        ),
    ]
    made = instability_curves.stability_curves(found, ["imp", "reinit"])
    assert [(s.finder, s.origin, s.position, s.control) for s in made] == [
        ("reinit", "ticket", 1, True),
        ("reinit", "10%", 1, True),
        ("imp", "ticket", 0, False),
        ("imp", "10%", 0, False),
    ]
    assert all([spot.level for spot in s.points] == [0, 1] for s in made)
    assert instability_curves.stability_curves([], ["imp"]) == []


def test_a_trail_goes_from_step_to_step_at_one_density_for_all() -> None:
    places = {"ticket": 0, "50it": 50, "10%": 20}
    found = [
        compared(level, finder=finder, at=at, start=start, middle=0.2 + start / 100)
        for finder, levels in (("imp", 4), ("reinit", 3))
        for level in range(levels)
        for at, start in places.items()
    ]
    trails = instability_curves.rewind_curves(
        instability_curves.stability_curves(found, ["imp", "reinit"])
    )
    assert [(t.finder, t.control, t.position) for t in trails] == [
        ("imp", False, 0),
        ("reinit", True, 1),
        ("dense", False, instability_curves.DENSE_POSITION),
    ]
    for trail, density in zip(trails, (0.25, 0.25, 1), strict=True):
        assert [spot.start for spot in trail.points] == [0, 20, 50]
        assert {spot.density for spot in trail.points} == {density}
        assert np.all(np.diff([spot.height.mean for spot in trail.points]) > 0)


def test_one_place_makes_no_trail() -> None:
    found = [compared(level) for level in range(3)]
    assert (
        instability_curves.rewind_curves(instability_curves.stability_curves(found, ["imp"])) == []
    )


def test_a_ticket_of_no_weights_is_shown_like_any_other() -> None:
    gone = {"density": 0.0, "to_order": WeightDistance(0.0, 0.0, None), "to_pruning": None}
    found = [
        compared(level, at=at, start=start, **(gone if level else {}))
        for level in range(2)
        for at, start in (("ticket", 0), ("10%", 20))
    ]
    made = instability_curves.stability_curves(found, ["imp"])
    assert math.isnan(made[0].points[1].distance.mean)
    assert [trail.finder for trail in instability_curves.rewind_curves(made)] == ["imp", "dense"]
