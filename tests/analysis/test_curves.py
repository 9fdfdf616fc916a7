"""Curve: means of what trials say, with costs that count finding and training."""

import dataclasses
import math

import pytest
import studied
from ltx_plugins.corrupted import Corrupted
from ltx_plugins.imp import IMP
from ltx_plugins.oneshot import SNIP
from ltx_plugins.subset import Subset
from ltx_plugins.transfer import Transfer

from ltx import Finder, History, Store, Trial
from ltx.analysis import curves
from ltx.store.event_log import Timing
from ltx.study.definition import Study
from ltx.study.results import TrialResult
from ltx.testing import FakeLab


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialResult, ...]:
    made = Study({"imp": IMP(levels=2), "snip": SNIP()}, tasks=(studied.TASK,), seeds=2)
    return studied.run(made, Store(tmp_path_factory.mktemp("store"))).rows


def test_a_curve_has_a_point_for_each_level_in_their_order(rows: tuple[TrialResult, ...]) -> None:
    imp, snip = curves.curves(rows[::-1], ["imp", "snip"])[::-1]
    assert (imp.finder, imp.position, snip.finder, snip.position) == ("imp", 0, "snip", 1)
    assert [point.level for point in imp.points] == [0, 1, 2]
    for point in imp.points:
        trials = [r.trial for r in rows if r.finder == "imp" and r.trial.level == point.level]
        assert point.seeds == len(trials) == 2
        assert point.value.mean == pytest.approx(sum(t.test.value for t in trials) / 2)
        assert point.early_stop.mean == pytest.approx(sum(t.early_stop or 0 for t in trials) / 2)


def test_steps_count_finding_and_training(rows: tuple[TrialResult, ...]) -> None:
    imp, snip = curves.curves(rows, ["imp", "snip"])
    assert [point.steps for point in imp.points] == [60, 120, 180]
    # Gradients take no step, and yet they cost what some would.
    assert 60 < snip.points[-1].steps < 70
    assert imp.points[2].flops < imp.points[2].steps / 60 * imp.points[0].flops


@pytest.mark.parametrize(
    ("finder", "share", "gradients"),
    [
        (Subset(of=IMP(levels=2), share=0.5), 0.5, 0),
        (Transfer(of=IMP(levels=2), source="third"), 1, 0),
        (Corrupted(of=IMP(levels=2)), 1, 8),  # by which it sees that the data differ
    ],
)
def test_what_is_found_on_another_task_costs_what_it_took_there(
    finder: Finder, share: float, gradients: int
) -> None:
    trials = [Trial.run(FakeLab(sealed=False), ticket) for ticket in finder.find(FakeLab())]
    assert [trial.found_for.steps for trial in trials] == [
        gradients + round(rounds * 60 * share) for rounds in range(3)
    ]
    points = [curves.dense_steps(trial) for trial in trials]
    assert points == pytest.approx([60 + gradients + rounds * 60 * share for rounds in range(3)])


def test_seconds_are_the_median_of_what_is_known(rows: tuple[TrialResult, ...]) -> None:
    imp = [row for row in rows if row.finder == "imp" and row.trial.level == 1]
    several = [
        dataclasses.replace(row, seed=n, trial=dataclasses.replace(row.trial, id=f"{n}"))
        for n, row in enumerate(imp * 2)
    ]

    def seconds(took: dict[str, Timing]) -> float:
        (found,) = curves.curves(several, ["imp"], took)
        return found.points[0].seconds

    known = {"0": Timing(1.0, 2.0), "1": Timing(1000.0, 2.0), "2": Timing(2.0, 2.0)}
    assert seconds(known) == 4.0
    assert seconds({**known, "3": Timing(math.nan, 2.0)}) == 4.0
    assert math.isnan(seconds({"3": Timing(math.nan, 2.0)}))
    assert math.isnan(seconds({}))


def test_an_early_stop_that_is_not_there_is_no_zero() -> None:
    lab = FakeLab(sealed=False)
    ticket = next(iter(IMP().find(lab)))
    trial = dataclasses.replace(Trial.run(lab, ticket), history=History())
    (found,) = curves.curves([TrialResult("t", "imp", False, 0, trial)], ["imp"])
    assert math.isnan(found.points[0].early_stop.mean)
    assert found.points[0].early_stop.count == 0
