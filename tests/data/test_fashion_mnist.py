"""Fashion-MNIST: Debian's copy becomes the published one, and another file is refused."""

import shutil
from pathlib import Path

import pytest

from ltx.core.errors import UsageError
from ltx.data import fashion_mnist, loading, tfds


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_fashion_mnist_from_debian(debian: Path, tmp_path: Path) -> None:
    import gzip

    root = str(tmp_path)
    assert "is prepared in" in tfds.import_fashion_mnist(str(debian), root)
    assert "already" in tfds.import_fashion_mnist(str(debian), root)
    fashion = loading.load("fashion_mnist", data_dir=root)
    assert (len(fashion.train), len(fashion.validation), len(fashion.test)) == (54000, 6000, 10000)
    assert (fashion.classes, fashion.image) == (10, (28, 28, 1))
    assert fashion.fingerprint == "dd8c2bae5efaf0e2"
    raw = gzip.decompress((debian / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    ours = sorted(image.tobytes() for image in fashion.test.inputs)
    assert ours == sorted(raw[i : i + 784] for i in range(0, len(raw), 784))


@pytest.mark.usefixtures("no_network")
def test_import_names_the_file_that_is_missing_or_wrong(debian: Path, tmp_path: Path) -> None:
    source, root = tmp_path / "source", str(tmp_path / "data")
    with pytest.raises(UsageError, match=r"t10k-images-idx3-ubyte\.gz cannot be read.*four"):
        tfds.import_fashion_mnist(str(source), root)
    shutil.copytree(debian, source)
    labels = source / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"t10k-labels-idx1-ubyte\.gz is not.*sha256"):
        tfds.import_fashion_mnist(str(source), root)
    assert [name for name, _ in tfds.available(root)] == ["digits"]


def test_original_headers_are_restored_from_any_header(debian: Path, tmp_path: Path) -> None:
    stored = (debian / "t10k-labels-idx1-ubyte.gz").read_bytes()
    original = fashion_mnist.original_gzip(debian / "t10k-labels-idx1-ubyte.gz")
    again = tmp_path / "t10k-labels-idx1-ubyte.gz"
    again.write_bytes(original)
    assert fashion_mnist.original_gzip(again) == original != stored
