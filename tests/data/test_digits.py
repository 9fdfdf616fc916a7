"""Digits: scikit-learn's, split by class, and always the same bytes."""

import numpy as np

from ltx.data import loading


def test_digits_are_scikit_learns_and_cut_by_class(shared: str) -> None:
    from sklearn.datasets import load_digits

    digits = loading.load("digits", data_dir=shared)
    assert (digits.classes, digits.image) == (10, (8, 8, 1))
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1293, 144, 360)
    parts = (digits.train, digits.validation, digits.test)
    images = np.concatenate([part.inputs for part in parts])[..., 0]
    labels = np.concatenate([part.targets for part in parts])
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    got = sorted((*image.ravel(), label) for image, label in zip(images // 15, labels, strict=True))
    source = load_digits()
    pairs = zip(source.images.astype(int), source.target, strict=True)
    assert got == sorted((*image.ravel(), label) for image, label in pairs)
    assert not (images % 15).any()
    share = np.bincount(digits.test.targets) - np.bincount(source.target) / 5
    assert np.abs(share).max() < 1


def test_digits_fingerprint_is_pinned(shared: str) -> None:
    """Moves only if the bytes, the test part or numpy's permutation move: then results do too."""
    assert loading.load("digits", data_dir=shared).fingerprint == "b12ae24e7299b137"
