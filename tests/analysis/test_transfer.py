"""Transfers: the gap is to the very tickets found on the target, and no word goes beyond it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ltx_plugins.early_rewind import EarlyRewind
from ltx_plugins.imp import IMP
from ltx_plugins.transfer import Transfer

from ltx import Finder, Metrics, Store, Task, Trial
from ltx.analysis import transfer
from ltx.analysis.transfer import AS_GOOD, BETTER, INCONCLUSIVE, WORSE
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab
from ltx.study import loop
from ltx.study.definition import Study
from ltx.study.grid import Grid
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure, TrialResult
from ltx.testing import RECIPE, FakeLab

SHORT = dataclasses.replace(RECIPE, length="10it", eval_every="10it")
TASKS = {name: Task(data=f"{name}/4", model="fake", recipe=SHORT) for name in ("one", "two")}
NATIVE = EarlyRewind(levels=2, rewind="2it")
SMALL = IMP(levels=1)
CARRY = ("mask", "rewind", "shuffled")


def grid(of: Finder = NATIVE, carry: Sequence[str] = CARRY, **more: object) -> Grid:
    settings = {"of": {"": of}, "source": TASKS, "carry": carry, **more}
    return Grid(Transfer, settings)


def made(seeds: object = 2, margin: float = 0.02, **finders: object) -> Study:
    chosen = finders or {"native": NATIVE, "from": grid()}
    return Study(chosen, tasks=TASKS, seeds=seeds, margin=margin)  # type: ignore[arg-type]


def run(asked: Study, store: Store) -> StudyRecord:
    def open_lab(task: Task, seed: int, sealed: bool) -> MemoLab:
        return MemoLab(FakeLab(task, seed, sealed=sealed), store)

    results = list(loop.run(asked, open_lab, store))
    record = StudyRecord.of(asked, None, command="", config="", plugins=[])
    return dataclasses.replace(
        record,
        rows=tuple(r for r in results if isinstance(r, TrialResult)),
        failures=tuple(r for r in results if isinstance(r, CellFailure)),
    )


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyRecord, Store]:
    """Two tasks, each a source and a target, three carries, two seeds."""
    store = Store(tmp_path_factory.mktemp("matrix"))
    return run(made(), store), store


Planted = Mapping[tuple[str, str], Sequence[float]]


def planted(record: StudyRecord, accuracies: Planted) -> StudyRecord:
    """The record with these accuracies, seed by seed, in all trials of finders on tasks.

    There are as many seeds as the longest has, with copies of the trials of seed 0.
    """
    rows = []
    for row in record.rows:
        given = accuracies.get((row.task, row.finder), [0.9] * max(map(len, accuracies.values())))
        if row.seed == 0:
            for seed, accuracy in enumerate(given):
                test = Metrics(0.1, accuracy)
                trial: Trial = dataclasses.replace(row.trial, test=test, seed=seed)
                rows.append(dataclasses.replace(row, seed=seed, trial=trial))
    count = max(map(len, accuracies.values()))
    return dataclasses.replace(record, rows=tuple(rows), seeds=tuple(range(count)))


def test_every_pair_carry_and_level_is_one_cell(studied: tuple[StudyRecord, Store]) -> None:
    found = transfer.transfer_results(*studied)
    places = [(one.task, one.source, one.carry, one.level) for one in found]
    expected = [(t, s, c, v) for t in TASKS for s in TASKS for c in CARRY for v in (1, 2)]
    assert places == expected
    assert {one.native for one in found} == {f"from {task} rewind" for task in TASKS}
    assert {one.claims for one in found} == {len(expected)}
    assert {one.finder for one in found} == {f"from {s} {c}" for s in TASKS for c in CARRY}


def test_the_gap_is_between_the_trials_of_one_seed(studied: tuple[StudyRecord, Store]) -> None:
    record, store = studied
    of = {(r.task, r.finder, r.seed, r.trial.level): r.trial.test.value for r in record.rows}
    for one in transfer.transfer_results(record, store):
        here = [of[one.task, one.finder, seed, one.level] for seed in (0, 1)]
        there = [of[one.task, f"from {one.task} rewind", seed, one.level] for seed in (0, 1)]
        dense = [of[one.task, "native", seed, 0] for seed in (0, 1)]
        if one.finder == one.native:
            assert one.gap is None
            assert one.reason.startswith("the target's own tickets under a fresh head")
        else:
            assert one.gap is not None
            assert one.gap.mean == pytest.approx((sum(here) - sum(there)) / 2)
        for interval, values in (
            (one.value, here),
            (one.native_value, there),
            (one.dense_value, dense),
        ):
            assert interval is not None
            assert interval.mean == pytest.approx(sum(values) / 2)
        assert one.missing == ()


def test_native_is_what_was_carried_and_not_a_label(tmp_path: Path) -> None:
    finders = {
        "native": IMP(levels=2),
        "mine": SMALL,
        "from": grid(SMALL, ["rewind"], head=["carry"]),
    }
    record = run(made(1, **finders), Store(tmp_path))
    assert {one.native for one in transfer.transfer_results(record, Store(tmp_path))} == {"mine"}


def test_without_native_tickets_there_is_no_gap(tmp_path: Path) -> None:
    finders = {"native": IMP(levels=2), "from": grid(SMALL, ["mask"])}
    record = run(made((0, 1), **finders), Store(tmp_path))
    for one in transfer.transfer_results(record, Store(tmp_path)):
        assert (one.native, one.native_value, one.gap) == ("", None, None)
        assert (one.verdict, one.missing) == (INCONCLUSIVE, (0, 1))
        assert "no finder of the study finds native tickets" in one.reason


def test_native_tickets_of_another_density_are_none(studied: tuple[StudyRecord, Store]) -> None:
    record, store = studied
    rows = [
        dataclasses.replace(r, trial=dataclasses.replace(r.trial, density=r.trial.density * 0.9))
        if r.finder == f"from {r.task} rewind" and r.trial.level == 2
        else r
        for r in record.rows
    ]
    for one in transfer.transfer_results(dataclasses.replace(record, rows=tuple(rows)), store):
        if one.finder != one.native:
            assert (one.gap is None) == (one.level == 2)
            assert one.level == 1 or one.reason.endswith(f"% in {one.native}")


SPREAD = [0.001, -0.001, 0.0005, -0.0005] * 5


@pytest.mark.parametrize(
    ("gap", "word"),
    [(0.05, BETTER), (0.0, AS_GOOD), (0.01, AS_GOOD), (-0.05, WORSE), (-0.02, INCONCLUSIVE)],
)
def test_words_are_what_many_seeds_show(
    studied: tuple[StudyRecord, Store], gap: float, word: str
) -> None:
    record, store = studied
    native = [0.9 + noise for noise in SPREAD]
    arm = [0.9 + gap - noise for noise in SPREAD]
    accuracies = {("one", "from one rewind"): native, ("one", "from two mask"): arm}
    found = transfer.transfer_results(planted(record, accuracies), store)
    cells = [one for one in found if (one.task, one.finder) == ("one", "from two mask")]
    assert [one.verdict for one in cells] == [word, word]
    for one in cells:
        assert one.gap is not None
        assert one.gap.mean == pytest.approx(gap)
        assert (one.gap.low > -one.margin) == (word in (AS_GOOD, BETTER))
        assert (one.gap.high < -one.margin) == (word == WORSE)
        assert (one.more_seeds == 0) == (word != INCONCLUSIVE)


def test_all_cells_are_corrected_for_one_another(studied: tuple[StudyRecord, Store]) -> None:
    record, store = studied
    native, arm = [0.9, 0.91, 0.92, 0.93], [0.9, 0.912, 0.921, 0.935]
    accuracies = {("one", "from one rewind"): native, ("one", "from two mask"): arm}
    many = transfer.transfer_results(planted(record, accuracies), store)
    only = tuple(r for r in record.rows if r.finder in ("from one rewind", "from two mask"))
    few = transfer.transfer_results(
        planted(dataclasses.replace(record, rows=only), accuracies), store
    )
    p_of_many, p_of_few = (
        next(one.p[AS_GOOD] for one in found if one.finder == "from two mask")
        for found in (many, few)
    )
    assert p_of_few < p_of_many
    assert (few[0].claims, many[0].claims) == (8, 24)


def test_one_seed_shows_nothing(studied: tuple[StudyRecord, Store]) -> None:
    record, store = studied
    found = transfer.transfer_results(planted(record, {("one", "native"): [0.9]}), store)
    assert {one.verdict for one in found} == {INCONCLUSIVE}
    assert {one.reason for one in found if one.finder != one.native} == {
        f"one seed in common with from {task} rewind" for task in TASKS
    }
    assert all(math.isnan(one.more_seeds) for one in found)
    assert "use --seeds=3 or more" in transfer.sentence(found)


def test_missing_seeds_are_named_and_nothing_stands_in_for_them(
    studied: tuple[StudyRecord, Store],
) -> None:
    record, store = studied
    rows = tuple(
        r
        for r in record.rows
        if (r.task, r.finder, r.seed)
        not in (("one", "from one rewind", 1), ("two", "from one mask", 0))
    )
    for one in transfer.transfer_results(dataclasses.replace(record, rows=rows), store):
        lacking = {("two", "from one mask"): (0,)}.get((one.task, one.finder), ())
        lacking = (1,) if one.task == "one" else lacking
        assert one.missing == lacking
        if one.finder != one.native:
            assert one.gap is not None
            assert one.gap.count == 2 - len(lacking)


def test_a_source_outside_the_study_goes_by_its_own_name(tmp_path: Path) -> None:
    longer = dataclasses.replace(SHORT, length="12it")
    one, two = (Task(data="far/4", model="fake", recipe=recipe) for recipe in (SHORT, longer))
    sources = {"a": one, "b": two, "c": "near/4"}
    finders = {label: Transfer(of=SMALL, source=source) for label, source in sources.items()}
    record = run(made(1, **finders), Store(tmp_path))
    found = transfer.transfer_results(record, Store(tmp_path))
    assert list(dict.fromkeys(one.source for one in found)) == [
        f"far/4/fake {one.id[:6]}",
        f"far/4/fake {two.id[:6]}",
        "near/4",
    ]


def test_finders_of_one_carry_are_told_apart(studied: tuple[StudyRecord, Store]) -> None:
    found = transfer.transfer_results(*studied)
    assert set(transfer.carry_labels(found).values()) == set(CARRY)
    twin = [dataclasses.replace(one, finder=f"{one.finder} twin") for one in found]
    ways = transfer.carry_labels([*found, *twin])
    assert ways == {one.finder: one.finder for one in [*found, *twin]}


def test_tables_compare_at_a_level_that_all_reached(studied: tuple[StudyRecord, Store]) -> None:
    found = transfer.transfer_results(*studied)
    assert {one.level for one in transfer.sparsest(found).values()} == {2}
    less = [one for one in found if (one.finder, one.level) != ("from two mask", 2)]
    assert {one.level for one in transfer.sparsest(less).values()} == {1}
    assert transfer.sparsest([]) == {}


def test_a_study_that_carries_nothing_has_no_cells(tmp_path: Path) -> None:
    record = run(made(1, native=SMALL), Store(tmp_path))
    assert transfer.transfer_results(record, Store(tmp_path)) == []


def test_one_label_of_two_studies_keeps_both_carries(tmp_path: Path) -> None:
    # Where imp rewinds to the start both find the very same tickets.
    store, found = Store(tmp_path), {}
    for carry in ("init", "rewind"):
        finder = Transfer(of=IMP(levels=1), source=TASKS["two"], carry=carry)
        record = run(made(1, native=IMP(levels=1), carried=finder), store)
        found[carry] = record
    assert [r.trial.id for r in found["init"].rows] == [r.trial.id for r in found["rewind"].rows]
    for carry, record in found.items():
        assert {one.carry for one in transfer.transfer_results(record, store)} == {carry}


def test_shared_runs_are_done_once(tmp_path: Path) -> None:
    """A matrix trains every (state, mask) once, on whichever task it is asked for first."""
    store = Store(tmp_path)
    matrix = made(1, native=IMP(levels=2), **{"from": grid(IMP(levels=2), ["init", "rewind"])})
    asked: set[tuple] = set()

    class Counted(MemoLab):
        def run_training(self, state, mask, stop, stream):  # type: ignore[no-untyped-def]
            asked.add((self.fingerprint, self.seed, state.id, mask.id, stream, stop))
            return super().run_training(state, mask, stop, stream)

    def open_lab(task: Task, seed: int, sealed: bool) -> MemoLab:
        return Counted(FakeLab(task, seed, sealed=sealed), store)

    Counted.open_sibling = lambda self, task: Counted(self.inner.open_sibling(task), store)  # type: ignore
    list(loop.run(matrix, open_lab, store))
    trained = [e for e in store.events() if isinstance(e, Trained)]
    steps = sum(event.steps for event in trained)
    # Each target trains its native levels; the dense one under a fresh head, which is the same from
    # either source; and each source's masks, where init and rewind are the same. What finding on a
    # source takes its native finder has trained.
    assert steps == 10 * len(asked) == 10 * 2 * (3 + 1 + 2 * 2)


def densities(record: StudyRecord) -> dict[tuple[str, str, int], float]:
    return {(r.task, r.finder, r.trial.level): r.trial.density for r in record.rows}


def test_both_sides_have_the_same_head_and_density(studied: tuple[StudyRecord, Store]) -> None:
    record, store = studied
    there = densities(record)
    for one in transfer.transfer_results(record, store):
        assert (one.native, one.native_head) == (f"from {one.task} rewind", "fresh")
        assert one.native_density == pytest.approx(one.density, rel=0.05)
        # A dense head makes the network denser than the ticket as it was found.
        assert one.density > 1.02 * there[one.task, "native", one.level]


def test_under_its_own_head_a_ticket_is_compared_as_it_was_found(tmp_path: Path) -> None:
    finders = {"native": SMALL, "from": grid(SMALL, head=["carry"], carry=["mask", "rewind"])}
    found = transfer.transfer_results(run(made(1, **finders), Store(tmp_path)), Store(tmp_path))
    assert {(one.native, one.native_head) for one in found} == {("native", "")}
    for one in found:
        assert one.native_density == pytest.approx(one.density)
        if one.source == one.task and one.carry == "rewind":
            assert one.gap is not None
            assert one.gap.mean == 0


def test_each_head_has_its_own_native_tickets(tmp_path: Path) -> None:
    finders = {"native": NATIVE, "from": grid(head=["fresh", "random"], carry=["rewind"])}
    found = transfer.transfer_results(run(made(1, **finders), Store(tmp_path)), Store(tmp_path))
    for one in found:
        head = one.finder.rpartition(" ")[2]
        assert (one.native, one.native_head) == (f"from {one.task} rewind {head}", head)


def test_each_stem_has_its_own_native_tickets(tmp_path: Path) -> None:
    carried = grid(head=["carry"], stem=["fresh", "random"], carry=["rewind"])
    finders = {"native": NATIVE, "from": carried}
    found = transfer.transfer_results(run(made(2, **finders), Store(tmp_path)), Store(tmp_path))
    assert found
    for one in found:
        stem = one.finder.rpartition(" ")[2]
        native = f"from {one.task} rewind carry {stem}"
        assert (one.native, one.native_head, one.native_stem) == (native, "", stem)
        assert one.native_density == pytest.approx(one.density, rel=0.05)
        assert (one.gap is None) == (one.native == one.finder)
        assert one.gap is not None or one.reason.startswith(
            f"the target's own tickets under a {stem} stem"
        )
    told = transfer.sentence(found)
    assert "Native tickets are under the same fresh stem or random stem." in told


def test_without_the_same_head_another_density_is_not_compared(tmp_path: Path) -> None:
    far = Transfer(of=NATIVE, source="far/4")
    record = run(made((0, 1), native=NATIVE, far=far), Store(tmp_path))
    found = transfer.transfer_results(record, Store(tmp_path))
    there = densities(record)
    for one in found:
        native = there[one.task, "native", one.level]
        assert not math.isclose(one.density, native, rel_tol=0.02)
        assert (one.native, one.gap, one.verdict) == ("native", None, INCONCLUSIVE)
        assert one.reason == (
            f"{one.density:.2%} dense here, {native:.2%} in native; add a transfer from the target"
            " to itself under the same head and stem"
        )
