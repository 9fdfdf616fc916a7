"""Task: its identity, its label, and what is refused."""

import dataclasses

import numpy as np
import pytest

from ltx import Recipe, Task, UsageError
from ltx.core.objectives.regression import Regression


def test_every_field_moves_the_id() -> None:
    tasks = [
        Task(),
        Task(data="mnist"),
        Task(model="conv_2"),
        Task(recipe=Recipe(batch_size=61)),
        Task(model_args={"width": 2}),
        Task(image=(8, 8, 1)),
        Task(fit="pad"),
        Task(validation=100),
        Task(split_seed=1),
        Task(subset=0.5),
        Task(corrupt="random_labels"),
        Task(classes=(0, 1)),
        Task(head=("logits/kernel",)),
        Task(objective=Regression()),
        Task(test=0.2),
        Task(data_args={"fold": 1}),
        Task(preprocessing={"length": 8}),
    ]
    assert len({task.id for task in tasks}) == len(tasks)
    assert len(tasks) == len(dataclasses.fields(Task)) + 1
    assert Task(image=[8, 8, 1]).id == Task(image=(8, 8, 1)).id  # type: ignore[arg-type]


def test_the_label_is_for_people() -> None:
    assert Task(data="mnist", model="my.nets.tiny").label == "mnist/tiny"
    assert Task(data="mnist", classes=(0, 1, 2, 3, 4)).label == "mnist[0-4]/lenet_300_100"
    assert Task(classes=(7, 0, 1, 4, 5, 6, 2)).label == "digits[7,0,1,4-6,2]/lenet_300_100"
    assert Task(classes=(2, 1, 0)).label == "digits[2,1,0]/lenet_300_100"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipe", {"optimizer": "adam"}),
        ("fit", "crop"),
        ("data", ""),
        ("data", None),
        ("model", 3),
        ("image", (8, 8)),
        ("image", (8, 8, 0)),
        ("image", "8x8"),
        ("image", 28),
        ("subset", 0),
        ("subset", 0.0),
        ("subset", 1),
        ("subset", True),
        ("subset", 1.5),
        ("subset", float("nan")),
        ("subset", "10%"),
        ("corrupt", "blur"),
        ("classes", (3,)),
        ("classes", 3),
        ("classes", (1, 1)),
        ("classes", (0, -1)),
        ("classes", (0.0, 1.0)),
        ("classes", "01"),
        ("classes", None),
    ],
)
def test_a_bad_setting_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"Task\.{field}"):
        Task(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("head", ["logits/kernel", ("a", "a"), ("",), (1,), None, {"a": 1}])
def test_a_head_is_different_names(head: object) -> None:
    with pytest.raises(UsageError, match=r"Task\.head: expected different names of kernels"):
        Task(head=head)  # type: ignore[arg-type]
    assert Task(head=["a/kernel"]).head == ("a/kernel",)  # type: ignore[arg-type]
    assert Task(head=[]).id == Task().id  # type: ignore[arg-type]


def test_numpys_numbers_are_numbers() -> None:
    assert (
        Task(validation=np.int64(20), split_seed=np.int32(3)).id
        == Task(validation=20, split_seed=3).id
    )


@pytest.mark.parametrize("field", ["validation", "split_seed"])
@pytest.mark.parametrize("value", [None, "3", True, -1, 10**400, np.bool_(True)])
def test_what_splits_the_data_is_a_number(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"Task.{field}: expected a"):
        Task(**{field: value})  # type: ignore[arg-type]
