"""Three tables that come with scikit-learn, in five fixed folds."""

import numpy as np

from ltx.core import identity
from ltx.core.validation import check_count
from ltx.data.arrays import Arrays

FOLDS = 5


def breast_cancer(fold: int = 0) -> Arrays:
    """Benign or malignant: 569 tumours by 30 measurements of their cell nuclei.

    The test split is fold 0 to 4.

    Reference: Street, Wolberg & Mangasarian (1993), https://doi.org/10.24432/C5DW2B
    """
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    return _parts(table.data, table.target, fold, tuple(map(str, table.target_names)))


def wine(fold: int = 0) -> Arrays:
    """Which of three cultivars: 178 wines by 13 chemical measurements.

    The test split is fold 0 to 4.

    Reference: Aeberhard & Forina (1992), https://doi.org/10.24432/C5PC7J
    """
    from sklearn.datasets import load_wine

    table = load_wine()
    return _parts(table.data, table.target, fold, tuple(map(str, table.target_names)))


def diabetes(fold: int = 0) -> Arrays:
    """Progression of diabetes in a year, 25 to 346: 442 patients by 10 measurements.

    The test split is fold 0 to 4.

    Reference: Efron, Hastie, Johnstone & Tibshirani, Least Angle Regression,
    https://arxiv.org/abs/math/0406456
    """
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    return _parts(table.data, table.target, fold)


def _parts(
    inputs: np.ndarray, targets: np.ndarray, fold: int, classes: tuple[str, ...] = ()
) -> Arrays:
    check_count("Task.data_args: fold", fold, least=0, most=FOLDS - 1)
    test = folds(targets) == fold
    return Arrays(inputs[~test], targets[~test], inputs[test], targets[test], classes)


def folds(targets: np.ndarray) -> np.ndarray:
    """The fold of each example, int64 [n], always the same; each fold has all classes or values.

    In the order of targets, equals in random order, every five neighbours are in five folds.
    """
    random = identity.generator(0, "folds")
    order = np.lexsort((random.permutation(len(targets)), targets))
    blocks = [random.permutation(FOLDS) for _ in range(-(-len(targets) // FOLDS))]
    result = np.empty(len(targets), np.int64)
    result[order] = np.concatenate(blocks)[: len(targets)]
    return result
