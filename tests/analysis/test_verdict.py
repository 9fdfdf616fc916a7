"""Verdict: planted outcomes are called by their name, and too little evidence says nothing."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_rows import CONTROL, CONTROLS, DENSE, rows, shifted

from ltx import Cost, History, Trial
from ltx.analysis import verdict
from ltx.analysis.paired_tests import ALPHA
from ltx.analysis.verdict import Interval, LevelVerdict
from ltx.core.objectives.metric import ACCURACY, Metric
from ltx.study.results import TrialResult


def judged(
    ticket: dict[int, float] | tuple[float, ...],
    control: dict[int, float] | tuple[float, ...] = CONTROL,
    dense: dict[int, float] | tuple[float, ...] = DENSE,
    stop: int = 30,
) -> LevelVerdict:
    given_rows = [
        *rows("imp", dense, level=0, stop=40),
        *rows("imp", ticket, stop=stop),
        *rows("reinit", control, control=True),
        *rows("reinit", control, level=0, control=True),
    ]
    return next(
        level for level in verdict.levels(given_rows, controls=CONTROLS) if level.level == 1
    )


def test_as_accurate_as_fast_and_ahead_of_its_control_wins() -> None:
    assert judged(shifted(DENSE, 0.002)).verdict == "winning"
    assert judged(DENSE, stop=40).verdict == "winning"


def test_clearly_worse_does_not_win() -> None:
    assert judged(shifted(DENSE, -0.02)).verdict == "not winning"


def test_a_loss_within_the_margin_is_none() -> None:
    assert judged(shifted(DENSE, -0.002)).verdict == "winning"


def test_slower_than_dense_only_matches() -> None:
    level = judged(DENSE, stop=50)
    assert level.verdict == "matching"
    assert level.reason == "not shown: in dense's time"


def test_no_better_than_its_control_only_matches() -> None:
    level = judged(DENSE, control=DENSE)
    assert level.verdict == "matching"
    assert level.reason == "not shown: ahead of reinit"
    assert level.more_seeds == math.inf


def test_without_a_control_nothing_wins() -> None:
    alone = [*rows("imp", DENSE, level=0, stop=40), *rows("imp", shifted(DENSE, 0.01))]
    found = verdict.levels(alone)
    assert [level.verdict for level in found] == ["", "matching"]
    assert "winning at" not in verdict.sentence(found)
    assert "no control" in verdict.sentence(found)
    assert found[1].reason == "no control of its own"


def test_every_control_must_be_beaten() -> None:
    found = verdict.levels(
        [
            *rows("imp", DENSE, level=0, stop=40),
            *rows("imp", DENSE),
            *rows("reinit", CONTROL, control=True),
            *rows("shuffled", DENSE, control=True),
        ],
        controls={"reinit": ("imp",), "shuffled": ("imp",)},
    )
    assert found[1].verdict == "matching"
    assert set(found[1].leads) == {"reinit", "shuffled"}


def test_noise_is_inconclusive() -> None:
    level = judged((0.95, 1.0, 0.93, 0.99, 0.96, 1.0))
    assert level.verdict == "inconclusive"
    assert level.more_seeds > 0
    assert level.reason == "shown neither to keep dense's accuracy nor to lose it"


def test_one_seed_says_nothing() -> None:
    level = judged((0.99,), control=(0.90,), dense=(0.98,))
    assert level.verdict == "inconclusive"
    assert math.isnan(level.value.low)
    assert math.isnan(level.more_seeds)
    assert level.reason == "one seed in common with dense"
    assert "one seed cannot tell" in verdict.sentence([level])


def test_one_seed_in_common_with_dense_says_nothing() -> None:
    level = judged({0: 0.99, 1: 0.99, 2: 0.99}, dense={0: 0.98})
    assert level.verdict == "inconclusive"


def test_one_seed_in_common_with_the_control_wins_nothing() -> None:
    assert judged(DENSE, control={0: 0.9}).verdict != "winning"


def test_no_seed_in_common_with_the_control_wins_nothing() -> None:
    level = judged(DENSE, control={7: 0.9, 8: 0.9})
    assert level.verdict == "matching"
    assert level.reason == "not shown: ahead of reinit; no ticket to compare of reinit"
    assert math.isnan(level.more_seeds)


def test_a_control_that_failed_at_one_level_wins_nothing_there() -> None:
    found = verdict.levels(
        [
            *rows("imp", DENSE, level=0, stop=40),
            *rows("imp", DENSE),
            *rows("imp", DENSE, level=2),
            *rows("reinit", CONTROL, control=True),
        ],
        controls=CONTROLS,
    )
    assert [level.verdict for level in found] == ["", "winning", "matching"]
    assert found[2].reason == "not shown: ahead of reinit; no ticket to compare of reinit"


def test_a_control_that_failed_altogether_is_not_forgotten() -> None:
    given_rows = [
        *rows("imp", DENSE, level=0, stop=40),
        *rows("imp", DENSE),
        *rows("reinit", CONTROL, control=True),
    ]
    assert verdict.levels(given_rows, controls=CONTROLS)[1].verdict == "winning"
    (_, level) = verdict.levels(given_rows, controls={"reinit": ("imp",), "shuffled": ("imp",)})
    assert level.verdict == "matching"
    assert level.reason == "not shown: ahead of shuffled; no ticket to compare of shuffled"


def test_the_control_of_another_finder_is_none() -> None:
    found = verdict.levels(
        [
            *rows("imp", DENSE, level=0, stop=40),
            *rows("imp", DENSE),
            *rows("oneshot", DENSE, level=0, stop=40),
            *rows("oneshot", DENSE),
            *rows("reinit", CONTROL, control=True, of=("imp", 1)),
        ],
        controls=CONTROLS,
    )
    by = {(lv.finder, lv.level): lv for lv in found}
    assert by["imp", 1].verdict == "winning"
    assert by["oneshot", 1].verdict == "matching"
    assert by["oneshot", 1].reason == "no control of its own"
    assert (by["oneshot", 1].own_controls, by["oneshot", 1].controls) == ((), {})
    sentences = [verdict.sentence([lv]) for lv in (by["imp", 1], by["oneshot", 1])]
    assert "against reinit" in sentences[0]
    assert "no control of its own, so none can win" in sentences[1]


def with_control(**control: Any) -> LevelVerdict:
    """A ticket of 5 % at level 1 and a control of that finder."""
    given_rows = [
        *rows("imp", DENSE, level=0, stop=40),
        *rows("imp", DENSE, density=0.05),
        *rows("reinit", control.pop("accuracies", CONTROL), control=True, **control),
    ]
    return verdict.levels(given_rows, controls=CONTROLS)[1]


def test_a_control_is_compared_with_the_ticket_that_it_was_made_from() -> None:
    level = with_control(level=3, density=0.05, of=("imp", 1))
    assert level.verdict == "winning"
    assert level.control_densities == pytest.approx({"reinit": 0.05})
    assert with_control(level=3, density=0.05, of=("imp", 1), accuracies=DENSE).leads[
        "reinit"
    ].mean == pytest.approx(0)


def test_a_control_without_its_ticket_is_compared_at_its_level() -> None:
    assert with_control(density=0.05).verdict == "winning"
    assert with_control(density=0.05, of=("imp on corrupted data", 1)).verdict == "winning"
    assert with_control(density=0.05, level=3).controls == {}


def test_a_control_of_another_density_than_its_ticket_is_refused() -> None:
    level = with_control(density=0.06, of=("imp", 1))
    assert (level.verdict, level.controls, level.own_controls) == ("matching", {}, ("reinit",))
    assert level.reason == "not shown: ahead of reinit; no ticket to compare of reinit"


def test_a_control_of_a_control_leads_to_the_ticket_of_the_finder() -> None:
    found = verdict.levels(
        [
            *rows("imp", DENSE, level=0, stop=40),
            *rows("imp", DENSE, density=0.05),
            *rows("reinit", CONTROL, level=2, density=0.05, control=True, of=("imp", 1)),
            *rows("both", CONTROL, level=4, density=0.05, control=True, of=("reinit", 2)),
        ],
        controls={"reinit": ("imp",), "both": ("imp",)},
    )
    assert found[1].verdict == "winning"
    assert set(found[1].leads) == {"reinit", "both"}


def test_a_controls_own_earlier_ticket_is_not_what_it_was_made_from() -> None:
    given_rows = [
        *rows("imp", DENSE, level=0, stop=40),
        *rows("imp", DENSE, level=1),
        *rows("imp", DENSE, level=2),
        *rows("reinit", CONTROL, level=1, control=True, of=("imp", 1)),
        *rows("reinit", CONTROL, level=2, control=True, of=("reinit", 1)),
    ]
    found = verdict.levels(given_rows, controls=CONTROLS)
    assert [level.verdict for level in found] == ["", "winning", "winning"]


def test_controls_of_no_finder_of_the_study_are_named() -> None:
    (sentence,) = verdict.unused({"reinit": ("imp",), "labels": ()})
    assert sentence.startswith("labels is compared with nothing")


def test_without_a_dense_network_nothing_is_said() -> None:
    (level,) = verdict.levels(rows("imp", DENSE))
    assert level.verdict == "inconclusive"
    assert level.reason == "no dense network to hold it against"
    assert level.gain is None
    assert math.isnan(level.dense_early_stop)
    assert math.isnan(level.more_seeds)


def test_an_unknown_early_stop_is_not_step_zero() -> None:
    def blank(trial: Trial) -> Trial:
        return dataclasses.replace(trial, history=History(), trained_for=Cost(steps=100))

    given_rows = [
        *rows("imp", DENSE, level=0, stop=40),
        *(dataclasses.replace(r, trial=blank(r.trial)) for r in rows("imp", DENSE)),
        *rows("reinit", CONTROL, control=True),
    ]
    level = verdict.levels(given_rows, controls=CONTROLS)[1]
    assert math.isnan(level.early_stop.mean)
    assert level.delay is None
    assert level.verdict == "matching"
    assert level.reason == "not shown: in dense's time"


def test_a_seed_that_the_study_asked_for_is_missed() -> None:
    found = verdict.levels(
        [*rows("imp", DENSE, level=0), *rows("imp", {0: 0.9, 2: 0.91})], seeds=range(8)
    )
    assert found[0].missing == (6, 7)
    assert found[1].missing == (1, 3, 4, 5, 6, 7)
    assert "missing at 1 of 1 levels" in verdict.sentence(found)


def test_the_margin_is_the_studys() -> None:
    given_rows = [*rows("imp", DENSE, level=0), *rows("imp", shifted(DENSE, -0.02))]
    assert verdict.levels(given_rows, controls=CONTROLS)[1].verdict == "not winning"
    assert verdict.levels(given_rows, margin=0.03)[1].verdict == "matching"


def test_finders_and_tasks_are_more_chances_too() -> None:
    noise = tuple(v + e for v, e in zip(DENSE, (0.002, 0.0, 0.001, -0.001, 0, 0), strict=True))

    def of(task: str, finder: str) -> list[TrialResult]:
        return [*rows(finder, DENSE, level=0, task=task), *rows(finder, noise, task=task)]

    alone = verdict.levels(of("a", "imp"))[1]
    found = verdict.levels([*of("a", "imp"), *of("a", "snip"), *of("b", "imp")])
    assert {level.claims for level in found} == {3}
    for level in found:
        if level.level:
            assert level.p["matching"] == pytest.approx(3 * alone.p["matching"])


def test_each_level_more_is_one_more_chance_to_be_lucky() -> None:
    better = tuple(v + e for v, e in zip(DENSE, (0.002, 0.0, 0.001, -0.001, 0.0, 0.0), strict=True))
    given_rows = [*rows("imp", DENSE, level=0, stop=40), *rows("imp", better)]
    for level in range(2, 12):
        given_rows += rows("imp", (0.95, 1.0, 0.93, 0.99, 0.96, 1.0), level=level)
    alone, among = (
        verdict.levels(given_rows[:12])[1],
        verdict.levels(given_rows, controls=CONTROLS)[1],
    )
    assert among.claims == 11
    assert among.p["matching"] == pytest.approx(11 * alone.p["matching"])
    assert among.gain is not None
    assert alone.gain is not None
    assert among.gain.low < alone.gain.low


def test_missing_seeds_are_paired_properly() -> None:
    # Seed 1 is far better throughout: unpaired means would show a gap that is not there.
    level = judged({0: 0.90, 2: 0.91, 3: 0.92}, dense={0: 0.90, 1: 0.99, 2: 0.91, 3: 0.92})
    assert level.gain is not None
    assert (level.gain.mean, level.gain.count) == (0.0, 3)
    assert level.seeds == 3
    assert level.missing == (1, 4, 5)
    assert level.reason == "3 seeds with one and the same difference"
    assert level.more_seeds == 2  # 1/2^5 is the first below 5%


def test_order_of_rows_does_not_matter() -> None:
    given_rows = [
        *rows("imp", DENSE, level=0),
        *rows("imp", shifted(DENSE, 0.001)),
        *rows("reinit", CONTROL, control=True),
    ]
    found = {(lv.finder, lv.level): lv for lv in verdict.levels(given_rows, controls=CONTROLS)}
    turned = {
        (lv.finder, lv.level): lv for lv in verdict.levels(reversed(given_rows), controls=CONTROLS)
    }
    assert found.keys() == turned.keys()
    for key, level in found.items():
        assert level.verdict == turned[key].verdict
        assert level.gain is None or level.gain.mean == pytest.approx(turned[key].gain.mean)  # type: ignore[union-attr]


def test_tasks_are_judged_by_their_own_dense_and_controls() -> None:
    found = verdict.levels(
        [
            *rows("imp", DENSE, level=0, task="a"),
            *rows("imp", DENSE, task="a"),
            *rows("imp", shifted(DENSE, -0.1), level=0, task="b"),
            *rows("imp", shifted(DENSE, -0.1), task="b"),
            *rows("reinit", CONTROL, control=True, task="a"),
        ],
        controls=CONTROLS,
    )
    by = {(lv.task, lv.level): lv for lv in found}
    assert by["b", 1].gain == Interval(0.0, 0.0, 0.0, 6)
    assert by["b", 1].leads == {}
    assert by["a", 1].verdict == "winning"


def test_controls_are_shown_beside_and_not_judged() -> None:
    level = judged(DENSE)
    assert level.controls["reinit"].mean == pytest.approx(sum(CONTROL) / 6)
    only = verdict.levels(rows("reinit", CONTROL, control=True))
    assert only == []


def test_the_interval_is_students() -> None:
    interval = Interval.of([1.0, 2.0, 3.0])
    assert interval.mean == 2
    # t(0.975, 2) = 4.3027, standard error 1 / sqrt(3).
    assert interval.reach == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=6),
    st.lists(st.floats(-0.01, 0.01), min_size=6, max_size=6),
    st.floats(-0.02, 0.02),
)
def test_what_is_shown_decides(ticket: list[float], noise: list[float], shift: float) -> None:
    level = judged(
        tuple(ticket),
        dense=tuple(v + shift + e for v, e in zip(ticket, noise, strict=False)),
        control=tuple(v - 0.1 for v in ticket),
    )
    assert level.gain is not None
    shown = {word for word, p in level.p.items() if p <= ALPHA}
    assert shown in ({"winning", "matching"}, {"matching"}, {"not winning"}, set())
    assert (level.verdict in shown) == bool(shown)
    assert ("matching" in shown) == (level.gain.low > -ACCURACY.margin)
    assert ("not winning" in shown) == (level.gain.high < -ACCURACY.margin)
    if level.verdict == "winning":
        assert all(lead.low > 0 for lead in level.leads.values())
        assert level.delay is not None
        assert level.delay.high <= 0
    if level.verdict in ("winning", "not winning"):
        assert level.more_seeds == 0
    else:
        assert level.more_seeds >= 1


def test_the_sentence_counts_and_names() -> None:
    found = verdict.levels(
        [
            *rows("imp", DENSE, level=0, stop=40),
            *rows("imp", DENSE, level=1),
            *rows("imp", shifted(DENSE, -0.05), level=2),
            *rows("reinit", CONTROL, level=1, control=True),
            *rows("reinit", CONTROL, level=2, control=True),
        ],
        controls=CONTROLS,
    )
    text = verdict.sentence(found)
    assert "winning at 1 of 2 levels (80.0%)" in text
    assert "not winning at 1 of 2 levels (64.0%)" in text
    assert "6 seeds" in text
    assert "against reinit" in text


def test_nothing_sparse_is_nothing_to_say() -> None:
    assert "nothing" in verdict.sentence(verdict.levels(rows("imp", DENSE, level=0)))


MIRRORED = Metric("loss", higher_is_better=False, margin=ACCURACY.margin)
VALUES = st.lists(st.floats(0.9, 1, allow_subnormal=False), min_size=2, max_size=6)


@given(VALUES, VALUES, VALUES, st.booleans())
def test_a_mirrored_metric_gives_the_same_verdicts(
    ticket: list[float], control: list[float], dense: list[float], relative: bool
) -> None:
    def found(metric: Metric, sign: int) -> list[LevelVerdict]:
        arms = (
            ("imp", dense, {"level": 0, "stop": 40}),
            ("imp", ticket, {}),
            ("reinit", control, {"control": True}),
        )
        made = [
            row
            for name, values, more in arms
            for row in rows(name, tuple(sign * v for v in values), metric=metric, **more)  # type: ignore[arg-type]
        ]
        return verdict.levels(made, controls=CONTROLS)

    higher = dataclasses.replace(MIRRORED, higher_is_better=True, relative=relative)
    lower = dataclasses.replace(higher, higher_is_better=False)
    for one, other in zip(found(higher, 1), found(lower, -1), strict=True):
        assert (one.verdict, one.reason, one.p, one.margin) == (
            *(other.verdict, other.reason, other.p, other.margin),
        )
        assert str((one.gain, one.leads)) == str((other.gain, other.leads))
        assert other.value.mean == -one.value.mean


def test_a_given_margin_is_in_values_of_the_metric() -> None:
    given_rows = [
        *rows("imp", (0.5, 0.51, 0.52), level=0, metric=MIRRORED),
        *rows("imp", (0.53, 0.54, 0.55), metric=MIRRORED),
    ]
    assert verdict.levels(given_rows)[1].reason.startswith(("loses", "3 seeds"))
    level = verdict.levels(given_rows, margin=0.2)[1]
    assert level.margin == 0.2
    assert "margin 0.2 loss" in verdict.sentence([level])
