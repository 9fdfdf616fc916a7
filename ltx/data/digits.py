"""Digits: the handwritten digits of scikit-learn, as a TFDS builder."""

from collections.abc import Iterator
from typing import Any

import numpy as np

NAME = "digits"
VERSION = "1.0.0"


def register(tfds: Any) -> None:
    """Register the builder with TFDS, a parameter because only tfds.py may import it."""

    class Digits(tfds.core.GeneratorBasedBuilder):
        """The 1797 grey 8x8 digits of scikit-learn.

        Pixels, 0..16 in the source, are multiplied by 15: resizing rounds to integers, which is
        coarse for so small a range. Sorted by class and then as in the source, every
        fifth example is a test example (360 of them, 1437 for training).

        Reference: https://archive.ics.uci.edu/dataset/80
        """

        VERSION = tfds.core.Version(VERSION)

        def _info(self) -> Any:
            image = tfds.features.Image(shape=(8, 8, 1))
            label = tfds.features.ClassLabel(num_classes=10)
            return tfds.core.DatasetInfo(
                builder=self,
                description="Optical recognition of handwritten digits, test part.",
                homepage="https://archive.ics.uci.edu/dataset/80",
                features=tfds.features.FeaturesDict({"image": image, "label": label}),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            from sklearn.datasets import load_digits

            images, labels = load_digits().images, load_digits().target
            order = np.argsort(labels, kind="stable")
            test = np.arange(len(order)) % 5 == 0
            images = (images * 15).astype(np.uint8)[..., None]
            return {
                "train": self._generate_examples(images, labels, order[~test]),
                "test": self._generate_examples(images, labels, order[test]),
            }

        def _generate_examples(self, images: Any, labels: Any, rows: Any) -> Iterator[Any]:
            for row in rows:
                yield int(row), {"image": images[row], "label": int(labels[row])}
