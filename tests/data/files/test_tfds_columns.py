"""TFDS columns: text, tables and sounds of a builder that was prepared offline."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ltx.core.errors import UsageError
from ltx.data import loading, tfds


def tables(root: str) -> None:
    """Prepares ltx_columns, with one feature of every kind."""
    library: Any = tfds._tfds()
    features = library.features

    class LtxColumns(library.core.GeneratorBasedBuilder):  # type: ignore[name-defined]
        VERSION = library.core.Version("1.0.0")

        def _info(self) -> Any:
            columns = {
                "text": features.Text(),
                "vector": features.Tensor(shape=(3,), dtype=np.float32),
                "wave": features.Audio(dtype=np.int16),
                "age": features.Scalar(dtype=np.float32),
                "sex": features.ClassLabel(names=["f", "m"]),
                "label": features.ClassLabel(names=["no", "yes"]),
            }
            return library.core.DatasetInfo(builder=self, features=features.FeaturesDict(columns))

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {"train": self._generate_examples(40), "test": self._generate_examples(10)}

        def _generate_examples(self, count: int) -> Iterator[Any]:
            for i in range(count):
                yield (
                    i,
                    {
                        "text": f"gr\u00fcn {i}",
                        "vector": np.full(3, i, np.float32),
                        "wave": np.arange(5 + i % 3).astype(np.int16),
                        "age": np.float32(i),
                        "sex": i % 2,
                        "label": i // 2 % 2,
                    },
                )

    LtxColumns(data_dir=root).download_and_prepare()


@pytest.fixture(scope="module")
def prepared_set(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("columns"))
    tables(root)
    return root


def test_features_are_columns(prepared_set: str) -> None:
    def of(inputs: Any, name: str = "tfds:ltx_columns", **arguments: Any) -> Any:
        return loading.load(
            name,
            data_args={"target": "label", "inputs": inputs, **arguments},
            data_dir=prepared_set,
        )

    texts = of("text", "ltx_columns")
    assert texts.targets.names == ("no", "yes")
    assert (len(texts.test), texts.input_shape) == (10, (7,))
    assert of("vector").input_shape == (3,)
    assert of(["age", "sex"]).input_shape == (3,)
    waves = of("wave", length=6)
    assert waves.input_shape == (6,)
    assert waves.train.inputs.dtype == np.float32
    for inputs, says in (
        ("wave", "sequences of 5 to 7 entries"),
        ("waves", "unknown feature .*did you mean wave"),
        (["text", "age"], "is a text, which stands alone"),
    ):
        with pytest.raises(UsageError, match=says):
            of(inputs)
    with pytest.raises(UsageError, match="no split 'all'"):
        of("text", split="all")
    with pytest.raises(UsageError, match=r"name others in Task.data_args target and inputs"):
        loading.load("ltx_columns", data_dir=prepared_set)
