"""Prepared data sets: names are parsed and lead to the folders that TFDS writes."""

from pathlib import Path

import pytest

from ltx.core.errors import UsageError
from ltx.data import prepared


def made(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "dataset_info.json").write_text("{}")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mnist", ("mnist", None, None)),
        ("cifar10_corrupted/fog_5", ("cifar10_corrupted", "fog_5", None)),
        ("mnist:3.0.1", ("mnist", None, "3.0.1")),
        ("set/a.b+c-d:1.2.3", ("set", "a.b+c-d", "1.2.3")),
    ],
)
def test_a_name_has_parts(name: str, parts: tuple) -> None:
    assert prepared.parse(name) == parts


NAMELESS = ("", "../digits", "Digits", "set/", "set:1.0", "a/b/c", "set/../x")


@pytest.mark.parametrize("name", NAMELESS)
def test_what_is_no_name_leads_nowhere(name: str) -> None:
    with pytest.raises(UsageError, match="expected name, name/config or name:"):
        prepared.parse(name)


def test_the_folder_is_the_one_named_else_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert prepared.root(None) == tmp_path
    assert prepared.root("other") == Path("other").absolute()
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert prepared.root(None) == Path.home() / "tensorflow_datasets"


def test_the_newest_version_is_taken_unless_one_is_named(tmp_path: Path) -> None:
    made(tmp_path, "set/2.0.0", "set/10.0.0", "set/11.0.0.incomplete_ab", "set/9.9.9")
    assert prepared.folder("set", tmp_path) == tmp_path / "set" / "10.0.0"
    assert prepared.folder("set:2.0.0", tmp_path) == tmp_path / "set" / "2.0.0"
    assert prepared.folder("set:3.0.0", tmp_path) is None


def test_a_set_with_configurations_has_a_default(tmp_path: Path) -> None:
    made(tmp_path, "set/plain/1.0.0", "set/fancy/1.0.0")
    assert prepared.folder("set", tmp_path) is None
    (tmp_path / "set" / ".config").mkdir()
    default = tmp_path / "set" / ".config" / "metadata.json"
    default.write_text('{"default_config_name": "fancy"}')
    assert prepared.folder("set", tmp_path) == tmp_path / "set" / "fancy" / "1.0.0"
    assert prepared.folder("set/plain", tmp_path) == tmp_path / "set" / "plain" / "1.0.0"


def test_every_set_is_listed_once_by_its_newest(tmp_path: Path) -> None:
    made(tmp_path, "b/1.0.0", "b/2.0.0", "a/x/1.0.0", "a/y/1.0.0", "c/broken")
    assert [(name, path.name) for name, path in prepared.every(tmp_path)] == [
        ("a/x", "1.0.0"),
        ("a/y", "1.0.0"),
        ("b", "2.0.0"),
    ]


def test_a_set_says_what_it_is_or_that_it_is_none(tmp_path: Path) -> None:
    made(tmp_path, "set/1.0.0")
    folder = tmp_path / "set" / "1.0.0"
    assert prepared.status("set", folder) == "1.0.0, not an image-classification set"
    image = '{"image": {"shape": {"dimensions": ["8", "-1", "1"]}, "dtype": "uint8"}}'
    label = '{"classLabel": {"numClasses": "3"}}'
    described = f'{{"featuresDict": {{"features": {{"image": {image}, "label": {label}}}}}}}'
    (folder / "features.json").write_text(described)
    assert prepared.status("set", folder) == "1.0.0, images of many sizes, 3 classes"
    native, classes = prepared.shape_and_classes("set", prepared.features(folder))
    assert (native, classes) == ((8, None, 1), 3)
