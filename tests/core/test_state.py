"""State: immutable, compared by content, and the same again after being flattened."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltx import Mask, State

names = st.text("abc/_:", min_size=1, max_size=6)
arrays = st.dictionaries(
    names, hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0)), max_size=3
)
states = st.builds(State, arrays, arrays, arrays, st.integers(0, 10**9))


@given(states)
def test_flattening_loses_nothing(state: State) -> None:
    again = State.from_arrays(state.arrays())
    assert again == state
    assert again.step == state.step
    assert list(again.slots) == list(state.slots)


@pytest.mark.parametrize("group", ["weights", "statistics", "slots"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_the_first_array_that_is_not_finite_is_found(group: str, dtype: type) -> None:
    arrays = {"a": np.ones(3, dtype), "b": np.array([True]), "c": np.ones((), np.int32)}
    for value in (np.nan, np.inf, -np.inf):
        broken = {**arrays, "d": np.array([0, value]).astype(dtype)}
        state = State({"w": np.ones(1)}).replace(**{group: broken})
        assert state.first_not_finite() == state.first_not_finite(group) == "d"
        others = {"weights", "statistics", "slots"} - {group}
        assert state.first_not_finite(*others) is None
        assert state.replace(**{group: arrays}).first_not_finite() is None


def test_every_part_counts_for_the_id() -> None:
    a, b = {"a": np.zeros(2)}, {"a": np.ones(2)}
    states = [
        State(a),
        State(b),
        State(a, a),
        State(a, b),
        State(a, slots=a),
        State(a, step=1),
        State({}),
    ]
    assert len({state.id for state in states}) == len(states)
    assert State(a) == State({"a": np.zeros(2)})
    assert hash(State(a)) == hash(State({"a": np.zeros(2)}))


def test_a_state_cannot_be_changed() -> None:
    array = np.zeros(2)
    state = State({"a": array})
    array[0] = 1
    assert state.weights["a"][0] == 0
    with pytest.raises(ValueError, match="read-only"):
        state.weights["a"][0] = 1
    with pytest.raises(AttributeError):
        state.step = 3  # type: ignore[misc]


def test_masking_covers_weights_and_their_slots_only() -> None:
    mask = Mask({"k/kernel": np.array([True, False])})
    two = np.array([2.0, 3.0], np.float32)
    state = State(
        weights={"k/kernel": two, "k/bias": two},
        statistics={"k/kernel": two},
        slots={
            "momentum:k/kernel": two,
            "velocity:k/kernel": two,
            "momentum:k/bias": two,
            "scale:": two,
        },
        step=7,
    )
    masked = state.masked(mask)
    zeroed = {"momentum:k/kernel", "velocity:k/kernel"}
    assert masked.weights["k/kernel"].tolist() == [2, 0]
    assert masked.weights["k/bias"].tolist() == [2, 3]
    assert masked.statistics["k/kernel"].tolist() == [2, 3]
    for name, slot in masked.slots.items():
        assert slot.tolist() == ([2, 0] if name in zeroed else [2, 3])
        assert slot.dtype == np.float32
    assert masked.step == 7
    assert state.weights["k/kernel"].tolist() == [2, 3]


def test_replace_changes_one_part() -> None:
    state = State({"a": np.zeros(2)}, slots={"m:a": np.ones(2)}, step=5)
    assert state.replace(step=0, slots={}) == State({"a": np.zeros(2)})
