"""Study: bad settings are refused by name, and its identity covers all of it."""

import dataclasses
from typing import Any

import pytest
from ltx_plugins.imp import IMP

from ltx import Task, UsageError
from ltx.core.objectives.regression import Regression
from ltx.study.definition import Study
from ltx.testing import RECIPE

TASK = Task(data="fake", model="fake", recipe=RECIPE)
OTHER = dataclasses.replace(TASK, data="other")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"finders": {}}, "Study.finders"),
        ({"finders": [IMP()]}, "Study.finders"),
        ({"finders": {"imp": IMP}}, r"finders\['imp'\]"),
        ({"finders": {"imp": "imp"}}, r"finders\['imp'\]"),
        ({"tasks": ()}, "Study.tasks"),
        ({"tasks": ["digits"]}, "Study.tasks"),
        ({"tasks": None}, "Study.tasks"),
        ({"tasks": {}}, "Study.tasks"),
        ({"tasks": {"a": "digits"}}, "Study.tasks"),
        ({"tasks": (TASK, TASK)}, "Study.tasks: expected different tasks"),
        ({"tasks": {1: TASK, "1": OTHER}}, "Study.tasks: expected different tasks"),
        ({"seeds": 0}, "Study.seeds"),
        ({"seeds": -1}, "Study.seeds"),
        ({"seeds": (0, -1)}, "Study.seeds"),
        ({"seeds": (1, 1)}, "different seeds"),
        ({"seeds": ("0", "1")}, "Study.seeds"),
        ({"seeds": 2.5}, "Study.seeds"),
        ({"seeds": None}, "Study.seeds"),
        ({"margin": -0.1}, "Study.margin"),
        ({"margin": 1}, "Study.margin"),
        ({"margin": "1%"}, "Study.margin"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Study(**{"finders": {"imp": IMP()}, **settings})


def test_seeds_are_a_count_or_themselves() -> None:
    assert Study({"imp": IMP()}, seeds=2) == Study({"imp": IMP()}, seeds=[0, 1])
    assert Study({"imp": IMP()}, seeds=2).id == Study({"imp": IMP()}, seeds=(0, 1)).id
    assert Study({"imp": IMP()}, tasks=TASK).tasks == (TASK,)  # type: ignore[arg-type]


def test_tasks_without_labels_are_told_apart() -> None:
    halves = [dataclasses.replace(TASK, classes=c) for c in ((0, 1), (2, 3))]
    longer = dataclasses.replace(TASK, recipe=dataclasses.replace(RECIPE, length="70it"))
    assert Study({"imp": IMP()}, tasks=[TASK, *halves, longer]).labels == [
        f"fake/fake {TASK.id[:6]}",
        "fake[0,1]/fake",
        "fake[2,3]/fake",
        f"fake/fake {longer.id[:6]}",
    ]


def test_a_study_is_known_by_all_of_it() -> None:
    studies = [
        Study({"imp": IMP()}),
        Study({"other": IMP()}),
        Study({"imp": IMP(levels=1)}),
        Study({"imp": IMP()}, tasks=(TASK,)),
        Study({"imp": IMP()}, tasks={"one": TASK}),
        Study({"imp": IMP()}, tasks={"two": TASK}),
        Study({"imp": IMP()}, seeds=1),
        Study({"imp": IMP()}, margin=0.01),
    ]
    assert Study({"imp": IMP()}, margin=0.003).id == studies[0].id
    assert len({made.id for made in studies}) == len(studies)


def test_a_margin_is_that_of_the_metric_unless_it_is_given() -> None:
    regression = Task(data="waves", objective=Regression())
    accuracy = Study({"imp": IMP()})
    assert accuracy.margin is None
    assert Study({"imp": IMP()}, tasks=regression, margin=2.5).margin == 2.5
    # A relative margin of 1 % is no value of 0.01.
    assert Study({"imp": IMP()}, tasks=regression, margin=0.01).margin == 0.01
    several = (Task(), regression)
    metrics = Study({"imp": IMP()}, tasks=several).metrics
    assert [metric.name for metric in metrics.values()] == ["accuracy", "RMSE"]
    with pytest.raises(UsageError, match=r"several metrics \(accuracy on digits.*RMSE on waves"):
        Study({"imp": IMP()}, tasks=several, margin=0.003)
