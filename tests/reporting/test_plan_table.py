"""Outlook: the table adds up, and what is uncertain is called so."""

import dataclasses
import io

import pytest
import rich.console

from ltx.core.cost import Cost
from ltx.reporting import plan_table
from ltx.store.budget import Limit
from ltx.study.dry_run_lab import CellPlan
from ltx.study.plan import PlanLine

IMP = PlanLine("a/b", "imp", 2, 6, 900, 300, 200, Cost(400, 1, 2_000_000, 1), 400, 120.0, 2048)
BIRD = PlanLine("a/b", "bird", 2, 8, 700, 0, 100, Cost(600, 1, 1_000_000, 1), 250, 180.0, 1024)


def shown(*lines: PlanLine, cells: tuple[CellPlan, ...] = (), budget: str | None = None) -> str:
    console = rich.console.Console(file=io.StringIO(), width=160, highlight=False, markup=False)
    limit = None if budget is None else Limit.parse(budget)
    plan_table.show(console, lines, cells, 2**33, limit)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_total_adds_the_lines_up() -> None:
    rows = [" ".join(line.split()) for line in shown(IMP, BIRD).splitlines()]
    assert rows[1] == "a/b imp 2 6 900 300 200 400 2M 2 min 2 KB"
    assert rows[2] == "a/b bird 2 8 700 0 100 250 to 600 1M 3 min 1 KB"
    assert rows[3] == "total 14 1,600 300 300 650 to 1,000 3M 5 min 3 KB"


def test_only_an_open_end_is_called_one() -> None:
    assert "What is left of bird depends on what it sees" in shown(IMP, BIRD)
    assert "depends" not in shown(IMP)


def test_a_time_that_was_not_measured_is_unknown_and_so_is_the_total() -> None:
    text = shown(IMP, dataclasses.replace(BIRD, seconds=None), budget="1h")
    assert [line.count("unknown") for line in text.splitlines()[1:4]] == [0, 1, 1]
    assert "cannot be told" in text


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("1000it", "It fits the budget of 1000it."),
        ("700it", "The budget of 700it may end it at 70% of what is to be trained; the same"),
        ("500it", "The budget of 500it would end it at 50%"),
        ("300it", "given 4 times in all"),
        ("5m", "It fits the budget of 5m."),
        ("100s", "would end it at 33% of what is to be trained; the same command, given 3 times"),
    ],
)
def test_a_budget_is_held_against_the_most(budget: str, said: str) -> None:
    assert said in shown(IMP, BIRD, budget=budget)


def test_nothing_left_is_said_and_a_failure_is_named() -> None:
    done = dataclasses.replace(IMP, cost=Cost(), least=0, seconds=0.0)
    assert "Nothing is left to train" in shown(done)
    cell = CellPlan("a/b", "imp", 1, tickets=2, error="removed nothing")
    said = shown(IMP, cells=(cell,))
    assert "imp on a/b, seed 1 stops after 2 tickets of this plan" in said
    assert said.endswith("may be made up: removed nothing\n")
