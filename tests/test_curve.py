"""Curve: means of what trials say, with costs that count finding and training."""

import dataclasses
import math

import pytest
import studied
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import SNIP

from ltx import History, Store, Trial, curve
from ltx.study import Row, Study
from ltx.testing import FakeLab


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Row, ...]:
    made = Study({"imp": IMP(levels=2), "snip": SNIP()}, tasks=(studied.TASK,), seeds=2)
    return studied.run(made, Store(tmp_path_factory.mktemp("store"))).rows


def test_a_curve_has_a_point_for_each_level_in_their_order(rows: tuple[Row, ...]) -> None:
    imp, snip = curve.curves(rows[::-1], ["imp", "snip"])[::-1]
    assert (imp.finder, imp.place, snip.finder, snip.place) == ("imp", 0, "snip", 1)
    assert [point.level for point in imp.points] == [0, 1, 2]
    for point in imp.points:
        trials = [r.trial for r in rows if r.finder == "imp" and r.trial.level == point.level]
        assert point.seeds == len(trials) == 2
        assert point.accuracy.mean == pytest.approx(sum(t.test.accuracy for t in trials) / 2)
        assert point.early_stop.mean == pytest.approx(sum(t.early_stop or 0 for t in trials) / 2)


def test_steps_count_finding_and_training(rows: tuple[Row, ...]) -> None:
    imp, snip = curve.curves(rows, ["imp", "snip"])
    assert [point.steps for point in imp.points] == [60, 120, 180]
    # Gradients take no step, and yet they cost what some would.
    assert 60 < snip.points[-1].steps < 70
    assert imp.points[2].flops < imp.points[2].steps / 60 * imp.points[0].flops


def test_an_early_stop_that_is_not_there_is_no_zero() -> None:
    lab = FakeLab(sealed=False)
    ticket = next(iter(IMP().find(lab)))
    trial = dataclasses.replace(Trial.of(lab, ticket), history=History())
    (found,) = curve.curves([Row("t", "imp", False, 0, trial)], ["imp"])
    assert math.isnan(found.points[0].early_stop.mean)
    assert found.points[0].early_stop.count == 0
