"""Data sets: real TFDS builders, read offline."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import TINY, tiny_image

from ltx.core.errors import LtxError, UsageError
from ltx.data import dataset, loading, tfds


def test_environment_names_the_folder(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", shared)
    assert loading.load("digits").train.source.shape == (1437, 8, 8, 1)
    assert tfds.available() == tfds.available(shared)


def test_warm_load_needs_neither_tensorflow_nor_tfds(shared: str) -> None:
    code = (
        "import sys; from ltx.data import loading, tfds; loading.load('digits'); tfds.available();"
        "print([m for m in sys.modules if m in ('tensorflow', 'tensorflow_datasets', 'sklearn')])"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": shared}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_two_processes_may_prepare_at_once(tmp_path: Path) -> None:
    code = (
        "from ltx.data import loading; print(loading.load('digits', image=(9, 9, 1)).fingerprint)"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "new")}
    command, pipe = [sys.executable, "-c", code], subprocess.PIPE
    workers = [
        subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe) for _ in range(2)
    ]
    said, complained = zip(*(worker.communicate(timeout=300) for worker in workers), strict=True)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert said[0] == said[1] != b""
    assert complained == (b"", b"")
    assert not list((tmp_path / "new").rglob("*.building"))


def test_pictures_arrive_as_they_were_made(shared: str) -> None:
    tiny = loading.load("ltx_tiny/colour", data_dir=shared)
    made = {tiny_image(i, (6, 4)).tobytes(): i % 3 for i in range(12)}
    for split in (tiny.train, tiny.validation, tiny.test):
        for image, label in zip(split.inputs, split.targets, strict=True):
            assert made[image.tobytes()] == label


def test_a_set_of_many_sizes_needs_a_shape(shared: str) -> None:
    with pytest.raises(UsageError, match=r"many sizes.*image="):
        loading.load("ltx_tiny/sizes", data_dir=shared)
    for fit in dataset.FITS:
        tiny = loading.load("ltx_tiny/sizes", image=(5, 4, 1), fit=fit, data_dir=shared)
        assert tiny.test.inputs.shape == (6, 5, 4, 1)
        assert len(np.unique(tiny.train.inputs)) > 20


def test_without_a_test_split_the_validation_split_serves(shared: str) -> None:
    assert len(loading.load("ltx_tiny/validated", data_dir=shared).test) == 6
    assert len(loading.load("ltx_tiny/unlabelled", data_dir=shared).test) == 4
    with pytest.raises(UsageError, match="labelled test or validation, got train"):
        loading.load("ltx_tiny/untested", data_dir=shared)


def test_a_set_that_is_not_images_says_what_it_is(shared: str) -> None:
    with pytest.raises(
        UsageError, match=r"not image classification.*got image \(Text\), label \(ClassLabel"
    ):
        loading.load("ltx_tiny/text", data_dir=shared)
    with pytest.raises(UsageError, match="uint8"):
        loading.load("ltx_tiny/wide", data_dir=shared)


def test_available_lists_this_disk(shared: str) -> None:
    loading.load("ltx_tiny", data_dir=shared)
    listed = tfds.available(shared)
    assert listed[0] == ("digits", "embedded 1.0.0, 8x8x1, 10 classes")
    status = dict(listed)
    assert set(status) == {"digits", *(f"ltx_tiny/{config}" for config in TINY)}
    assert status["ltx_tiny/colour"] == "1.0.0, 6x4x3, 3 classes, cached"
    assert status["ltx_tiny/sizes"].startswith("1.0.0, images of many sizes, 3 classes")
    assert status["ltx_tiny/text"] == (
        "1.0.0, not an image-classification set: image (Text), label (ClassLabel)"
    )


def test_available_where_there_is_nothing(tmp_path: Path) -> None:
    assert [name for name, _ in tfds.available(str(tmp_path / "none"))] == ["digits"]


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mnits", "unknown data set 'mnits': did you mean mnist"),
        ("qqqqqqqq", "unknown data set 'qqqqqqqq', TFDS has"),
        ("mnist", "not prepared in .*: run `ltx data prepare mnist`"),
        ("mnist:3.0.1", "run `ltx data prepare mnist:3.0.1`"),
        ("fashion_mnist", "or, without a network, `ltx data import fashion_mnist --from DIR`"),
        ("cifar10_corrupted/fog_9", "unknown configuration.*did you mean fog_"),
        ("../digits", "expected name, name/config"),
        ("", "expected name, name/config"),
    ],
)
def test_what_is_not_on_the_disk_is_told_at_once(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        loading.load(name, data_dir=str(tmp_path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.usefixtures("no_network")
def test_prepare_refuses_before_it_downloads(shared: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not image classification"):
        tfds.prepare("ltx_tiny/wide", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="did you mean mnist"):
        tfds.prepare("mnits", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match=r"mnist:0\.0\.1"):
        tfds.prepare("mnist:0.0.1", data_dir=str(tmp_path))


def test_prepare_says_what_it_did(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tfds.prepare("digits", data_dir=str(tmp_path)).startswith("digits 1.0.0 is prepared in")
    assert "already" in tfds.prepare("digits", data_dir=str(tmp_path))
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_failed_download_is_one_line(tmp_path: Path) -> None:
    library = tfds._tfds()

    class LtxFar(library.core.GeneratorBasedBuilder):  # type: ignore[name-defined]
        VERSION = library.core.Version("1.0.0")

        def _info(self) -> Any:
            image, label = (
                library.features.Image(shape=(1, 1, 1)),
                library.features.ClassLabel(num_classes=2),
            )
            features = library.features.FeaturesDict({"image": image, "label": label})
            return library.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": dl_manager.download("http://127.0.0.1:9/nothing")}

        def _generate_examples(self) -> Any:
            raise NotImplementedError

    with pytest.raises(LtxError, match="'ltx_far' could not be prepared: ConnectionError") as error:
        tfds.prepare(LtxFar.name, data_dir=str(tmp_path))
    assert "\n" not in str(error.value)
