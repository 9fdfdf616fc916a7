"""Arrays: splits, scaling and vocabulary of every kind, and inputs that cannot be used."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltx.core.errors import UsageError
from ltx.core.task import Task
from ltx.data.arrays import Arrays, make_dataset
from ltx.data.dataset import Dataset, DataSpec

N = 60
NUMBERS = np.random.default_rng(0).normal(3, 2, (N, 4))
LABELS = np.arange(N) % 3
TEXTS = np.array([f"w{i} common" for i in range(N)])
IMAGES = np.random.default_rng(1).integers(0, 256, (N, 4, 4, 1)).astype(np.uint8)
KINDS: dict[str, Any] = {
    "numbers": NUMBERS,
    "signals": NUMBERS.reshape(N, 2, 2),
    "texts": TEXTS,
    "tokens": np.arange(4 * N).reshape(N, 4) % 7,
    "images": IMAGES,
    "dict": {"a": NUMBERS, "b": TEXTS},
}


def made(inputs: Any, targets: Any = LABELS, *test: Any, **options: Any) -> Dataset:
    spec = DataSpec.of(Task(data="mine", **({} if test else {"test": 0.2}) | options))
    return make_dataset(spec, Arrays(inputs, targets, *test))


@settings(deadline=None, max_examples=40)
@given(
    classes=st.integers(2, 5),
    rows=st.integers(40, 120),
    seed=st.integers(0, 2**31),
    subset=st.sampled_from([1.0, 0.5, 20]),
)
def test_splits_are_a_stratified_partition(
    classes: int, rows: int, seed: int, subset: int | float
) -> None:
    targets = np.random.default_rng(seed).permutation(np.arange(rows) % classes)
    inputs = np.arange(rows, dtype=np.float32)[:, None]
    options: dict[str, Any] = {"split_seed": seed, "validation": 0.25, "subset": subset}
    one = made(inputs, targets, **options)
    parts = [one.train.rows, one.validation.rows, one.test.rows]
    whole = made(inputs, targets, **options | {"subset": 1.0})
    every = np.concatenate([whole.train.rows, whole.validation.rows, whole.test.rows])
    np.testing.assert_array_equal(np.sort(every), np.arange(rows))
    assert set(parts[0]) <= set(whole.train.rows)
    for split in (one.train, one.validation, one.test):
        counts = np.bincount(split.targets, minlength=classes)
        assert counts.max() - counts.min() <= 2
    again = made(inputs, targets, **options)
    assert again.fingerprint == one.fingerprint
    # The test split is the same whatever seed cuts the validation split.
    other = made(inputs, targets, **options | {"split_seed": seed + 1})
    np.testing.assert_array_equal(other.test.rows, one.test.rows)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), column=st.integers(0, 3))
def test_scaling_and_vocabulary_are_measured_on_training_rows_alone(seed: int, column: int) -> None:
    base = made(NUMBERS, split_seed=seed)
    kept = NUMBERS[base.train.rows]
    expected = (NUMBERS - kept.mean(axis=0)) / kept.std(axis=0)
    np.testing.assert_allclose(base.train.source, expected, rtol=1e-4, atol=1e-5)
    spoilt = NUMBERS.copy()
    outside = np.concatenate([base.validation.rows, base.test.rows])
    spoilt[outside, column] = 1e6
    np.testing.assert_array_equal(made(spoilt, split_seed=seed).train.inputs, base.train.inputs)
    texts = made(TEXTS, split_seed=seed, preprocessing={"tokens": "words"})
    assert texts.inputs.tokens == 2 + 1 + len(texts.train)  # type: ignore[union-attr]
    assert (texts.train.inputs > 1).all()
    assert (texts.test.inputs[:, 0] == 1).all()  # words that training has never seen


@pytest.mark.parametrize("kind", KINDS)
def test_subset_classes_and_corruption_mean_the_same_for_every_kind(kind: str) -> None:
    inputs = KINDS[kind]
    whole = made(inputs)
    few = made(inputs, subset=0.5)
    assert len(few.train) == round(len(whole.train) / 2)
    two = made(inputs, classes=(2, 0))
    assert two.classes == 2
    assert len(two.train) + len(two.validation) + len(two.test) == N * 2 // 3
    wrong = made(inputs, corrupt="random_labels")
    assert sorted(wrong.train.targets) == sorted(whole.train.targets)
    assert (wrong.train.targets != whole.train.targets).any()
    np.testing.assert_array_equal(wrong.test.targets, whole.test.targets)
    names = [None] if not isinstance(inputs, dict) else list(inputs)
    mixed = made(inputs, corrupt="shuffled_pixels")
    for name in names:
        was, now = (
            split.inputs if name is None else split.inputs[name]
            for split in (whole.train, mixed.train)
        )
        np.testing.assert_array_equal(
            np.sort(was.reshape(len(was), -1)), np.sort(now.reshape(len(now), -1))
        )
        assert (was != now).any()
    np.testing.assert_array_equal(
        *(
            np.concatenate(
                [
                    np.ravel(a)
                    for a in (s.inputs.values() if isinstance(inputs, dict) else [s.inputs])
                ]
            )
            for s in (whole.test, mixed.test)
        )
    )
    assert len({x.fingerprint for x in (whole, few, two, wrong, mixed)}) == 5


@pytest.mark.parametrize("dtype", ["float16", "float64", "bool", "uint8", ">f4"])
def test_tables_of_any_numbers_become_float32(dtype: str) -> None:
    table = (NUMBERS > 3).astype(dtype) if dtype == "bool" else np.abs(NUMBERS).astype(dtype)
    loaded = made(table)
    assert loaded.train.inputs.dtype == np.float32
    assert abs(loaded.train.inputs.mean()) < 1e-5
    plain = made(table, preprocessing={"scaling": "none"})
    np.testing.assert_array_equal(plain.train.source, table.astype(np.float32))


def test_whole_numbers_are_tokens() -> None:
    loaded = made(KINDS["tokens"].astype(np.int64))
    assert loaded.train.inputs.dtype == np.int32
    assert loaded.inputs.tokens == 7  # type: ignore[union-attr]


def test_names_of_classes_are_encoded_and_said() -> None:
    loaded = made(NUMBERS, np.array(["ja", "nein", "10"])[LABELS])
    assert loaded.targets.names == ("10", "ja", "nein")
    assert loaded.notes == ("targets are names, numbered 0 '10', 1 'ja', 2 'nein'",)
    assert made(NUMBERS, np.array(["9", "10", "2"])[LABELS]).targets.names == ("2", "9", "10")


def spoil(array: Any, value: object, row: int = 7) -> np.ndarray:
    result: np.ndarray = np.array(array)
    result[row] = value
    return result


RAGGED = np.empty(N, object)
RAGGED[:] = [[0.0] * (1 + i % 3) for i in range(N)]
TARGETS = LABELS.astype(float)


@pytest.mark.parametrize(
    ("inputs", "targets", "options", "says"),
    [
        (NUMBERS, LABELS, {"test": 0}, r"no test split; set Task\.test"),
        (NUMBERS, LABELS, {"test": 1.5}, "test: expected a fraction"),
        (NUMBERS, LABELS, {"test": N}, "expected 1 to 59"),
        (NUMBERS, LABELS, {"validation": 48}, "expected 1 to 47"),
        (NUMBERS, LABELS, {"subset": 1000}, r"Task\.subset"),
        (NUMBERS, LABELS, {"classes": (0, 3)}, "there is no class 3: the set has 3"),
        (NUMBERS, TARGETS, {"classes": (0, 1)}, "the targets of 'mine' are no classes"),
        (NUMBERS, spoil(TARGETS, np.nan), {}, "1 of 60 targets are missing.*example 7"),
        (NUMBERS, spoil(TARGETS, np.inf), {}, "not finite"),
        (NUMBERS, spoil(LABELS, -1), {}, "class numbers from 0, got -1"),
        (NUMBERS, LABELS * 0, {}, "all training targets are 0"),
        (NUMBERS, np.array([None, "a", "b"], object)[LABELS], {}, "example 0 is missing"),
        (NUMBERS, np.array([1j, 0, 1])[LABELS], {}, "got dtype complex128"),
        (NUMBERS, np.array(["a", 1, "b"], object)[LABELS], {}, "expected texts, got 1"),
        (NUMBERS, np.float64(1), {}, "got none"),
        (NUMBERS, LABELS[:-1], {}, r"shape \(60, 4\), expected as many.*59"),
        (NUMBERS[:0], LABELS[:0], {}, "as many examples"),
        (np.float64(1), LABELS, {}, "as many examples"),
        ({}, LABELS, {}, "got none"),
        ({"a": NUMBERS, "b": NUMBERS[:5]}, LABELS, {}, r"training b has shape \(5, 4\)"),
        (spoil(NUMBERS, np.nan), LABELS, {}, "input of example 7 is missing or not finite"),
        ({"a": NUMBERS, "b": spoil(NUMBERS, np.inf)}, LABELS, {}, "example 7"),
        (RAGGED, LABELS, {}, r"expected texts, got \[0.0\] in example 0"),
        (NUMBERS.astype(object), LABELS, {}, "expected texts"),
        (NUMBERS.astype(complex), LABELS, {}, "numbers or texts, got complex128"),
        (NUMBERS.astype("datetime64[s]"), LABELS, {}, "numbers or texts, got datetime64"),
        (KINDS["tokens"] - 1, LABELS, {}, "tokens, numbered from 0, got -1"),
        (TEXTS, LABELS, {"preprocessing": {"length": 3}}, "has 9 characters.*at most 3.*truncate"),
        (np.full(N, ""), LABELS, {}, "all texts of the training split are empty"),
        (np.full(N, b"\xff"), LABELS, {}, "is not UTF-8"),
        (NUMBERS, LABELS, {"preprocessing": {"scale": 1}}, "did you mean scaling"),
        (NUMBERS, LABELS, {"preprocessing": {"scaling": "minmax"}}, "scaling"),
        (NUMBERS, LABELS, {"preprocessing": {"targets": "standard"}}, "has classes"),
        (NUMBERS, LABELS, {"image": (4, 4, 1)}, "holds no images"),
        (TEXTS, LABELS, {"image": (4, 4, 1)}, "holds no images"),
        (IMAGES, LABELS, {"image": (8, 8, 1)}, "not converted"),
        ([[1.0], [2.0, 3.0]], [0, 1], {}, "inputs or targets of unlike shapes"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    inputs: Any, targets: Any, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as error:
        made(inputs, targets, **options)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("test", "options", "says"),
    [
        ((NUMBERS, None), {}, "test inputs and test targets, got one"),
        ((NUMBERS, LABELS), {"test": 0.2}, "has a test split of its own"),
        ((NUMBERS[:, :2], LABELS), {}, "differ in shape or name"),
        (({"a": NUMBERS}, LABELS), {}, "differ in shape or name"),
        ((NUMBERS, np.eye(3)[LABELS]), {}, "targets of unlike shapes"),
        ((NUMBERS, LABELS[:2]), {}, "test inputs has shape"),
    ],
)
def test_a_test_split_that_does_not_fit_is_one_line(
    test: Any, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as error:
        made(NUMBERS, LABELS, *test, **options)
    assert "\n" not in str(error.value)


def test_a_class_of_the_test_split_alone_is_refused() -> None:
    names = np.array(["a", "b", "c"])[LABELS]
    with pytest.raises(UsageError, match="class 'd' is only in the test split"):
        made(NUMBERS, names, NUMBERS, spoil(names, "d"))
