"""Budget: training stops where it ends, keeps what was trained, and goes on from there."""

from pathlib import Path

import pytest
from ltx_plugins.imp import IMP

from ltx import Store, Task, UsageError
from ltx.core.errors import BudgetError
from ltx.store.budget import Budget, Limit
from ltx.store.event_log import Trained
from ltx.store.memo import MemoLab
from ltx.study import loop
from ltx.study.definition import Study
from ltx.testing import RECIPE, FakeLab

TASK = Task(data="fake", model="fake", recipe=RECIPE)


def trained(store: Store) -> int:
    return sum(event.steps for event in store.events() if isinstance(event, Trained))


def contents(store: Store) -> dict[str, bytes]:
    kinds = ("tickets", "states", "trials")
    return {p.name: p.read_bytes() for kind in kinds for p in (store.path / kind).iterdir()}


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20000it", Limit("20000it", steps=20000)),
        ("90s", Limit("90s", seconds=90)),
        ("1.5m", Limit("1.5m", seconds=90)),
        ("2h", Limit("2h", seconds=7200)),
        ("1d", Limit("1d", seconds=86400)),
    ],
)
def test_a_limit_is_steps_or_time(text: str, limit: Limit) -> None:
    assert Limit.parse(text) == limit


@pytest.mark.parametrize("text", ["", "3", "it", "-1it", "1.5it", "0m", "0it", "2ep", "10%", "m"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget: expected 20000it"):
        Limit.parse(text)


def test_without_a_limit_there_is_always_enough() -> None:
    budget = Budget()
    budget.spend(10**9, 1e9)
    assert budget.grant(7, 1e9) == 7


def test_time_grants_what_fits_and_at_least_a_step() -> None:
    budget = Budget(Limit.parse("10s"))
    assert budget.grant(100, 0.0) == 100
    budget.spend(20, 6.0)
    assert budget.grant(100, 0.5) == 8
    assert budget.grant(100, 5.0) == 1
    budget.spend(1, 4.0)
    with pytest.raises(BudgetError, match=r"21 new steps in 10 s.*the same command goes on"):
        budget.grant(1, 0.5)


@pytest.mark.parametrize("steps", [7, 20, 25, 60, 77, 179, 180, 200])
def test_a_study_ends_at_its_budget_and_goes_on_to_the_same_bytes(
    steps: int, tmp_path: Path
) -> None:
    calm, store = Store(tmp_path / "calm"), Store(tmp_path / "store")
    made = Study({"imp": IMP(levels=2)}, tasks=(TASK,), seeds=1)

    def run(store: Store, limit: Limit | None) -> None:
        budget = Budget(limit)

        def open_lab(task: Task, seed: int, sealed: bool) -> MemoLab:
            return MemoLab(FakeLab(task, seed, sealed=sealed), store, budget=budget)

        list(loop.run(made, open_lab, store))

    run(calm, None)
    whole = trained(calm)
    for number in range(1, -(-whole // steps)):
        with pytest.raises(BudgetError):
            run(store, Limit("n", steps=steps))
        assert trained(store) == number * steps
    run(store, Limit("n", steps=steps))
    assert trained(store) == whole == 180
    assert contents(store) == contents(calm)


def test_siblings_share_the_budget(tmp_path: Path) -> None:
    budget = Budget(Limit("70it", steps=70))
    lab = MemoLab(FakeLab(TASK), Store(tmp_path / "store"), budget=budget)
    lab.train(lab.init(), lab.dense())
    other = lab.on(data="other")
    with pytest.raises(BudgetError):
        other.train(other.init(), other.dense())
    assert trained(lab.store) == 70
