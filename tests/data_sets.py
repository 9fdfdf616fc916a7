"""Data sets: a folder with the digits and with one tiny set of every kind, to load from."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import DICTIONARIES, FASHION_MNIST, fashion_mnist_files

from ltx.data import image_cache, loading, tfds

TINY = ("colour", "sizes", "untested", "validated", "unlabelled", "text", "wide")


def _tiny_class() -> Any:
    """A builder with one configuration for every kind of set that load must tell apart."""
    library: Any = tfds._tfds()

    class LtxTiny(library.core.GeneratorBasedBuilder):
        VERSION = library.core.Version("1.0.0")
        BUILDER_CONFIGS = [library.core.BuilderConfig(name=name) for name in TINY]  # noqa: RUF012

        def _info(self) -> Any:
            kind = self.builder_config.name
            shape = (None, None, 3) if kind == "sizes" else (6, 4, 3)
            image = library.features.Image(shape=shape)
            if kind == "text":
                image = library.features.Text()
            if kind == "wide":
                image = library.features.Image(shape=(6, 4, 1), dtype=np.uint16)
            label = library.features.ClassLabel(num_classes=3)
            features = library.features.FeaturesDict({"image": image, "label": label})
            return library.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            kind = self.builder_config.name
            splits = {"train": 12}
            if kind != "untested":
                splits["validation" if kind == "validated" else "test"] = 6
            if kind == "unlabelled":
                splits["validation"] = 4
            return {split: self._generate_examples(split, n) for split, n in splits.items()}

        def _generate_examples(self, split: str, n: int) -> Iterator[Any]:
            kind = self.builder_config.name
            for i in range(n):
                size = (5 + i, 4 + i % 3) if kind == "sizes" else (6, 4)
                image: Any = tiny_image(i, size)
                if kind == "text":
                    image = "word"
                if kind == "wide":
                    image = np.zeros((6, 4, 1), np.uint16)
                unlabelled = kind == "unlabelled" and split == "test"
                yield i, {"image": image, "label": -1 if unlabelled else i % 3}

    return LtxTiny


def tiny_image(i: int, size: tuple[int, int]) -> np.ndarray:
    """Random red and green; blue is 7 everywhere."""
    image = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
    image[..., 2] = 7
    return image


def cache_of(root: str, name: str = "digits/1.0.0/8x8x1") -> Path:
    return Path(root) / image_cache.CACHE / name


class RefusedError(Exception):
    """Something reached for the network."""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise RefusedError(args)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data directory with digits and every configuration of ltx_tiny; not to be damaged."""
    root = str(tmp_path_factory.mktemp("data"))
    loading.load("digits", data_dir=root)
    tiny = _tiny_class()
    for config in TINY:
        tiny(config=config, data_dir=root).download_and_prepare()
    return root


@pytest.fixture
def own(shared: str, tmp_path: Path) -> str:
    """A data directory with digits, cached in their own shape, that a test may damage."""
    root = str(tmp_path / "data")
    shutil.copytree(Path(shared) / "digits", Path(root) / "digits")
    loading.load("digits", data_dir=root)
    return root


@pytest.fixture(scope="session")
def debian() -> Path:
    """The folder with the four files of Fashion-MNIST, as Debian installs them."""
    found = fashion_mnist_files()
    assert found, FASHION_MNIST.reason
    return found


@pytest.fixture(scope="session")
def fashion_mnist(debian: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data directory with the real Fashion-MNIST, imported from Debian's files."""
    root = str(tmp_path_factory.mktemp("fashion"))
    tfds.import_fashion_mnist(str(debian), root)
    return root


@pytest.fixture(scope="session")
def word_lists() -> Path:
    """The folder with the word lists of five languages, as Debian installs them."""
    return DICTIONARIES


@pytest.fixture(scope="session")
def king_james_text() -> str:
    """The program of Debian's package bible-kjv."""
    found = shutil.which("bible")
    assert found
    return found
