"""TF-MOT's import: what it hides for a while is there again, and Keras 3 is not loaded."""

import importlib
import subprocess
import sys

import pytest

from ltx.backends.tf_keras import tfmot


def test_a_module_is_not_found_and_neither_are_its_packages_loaded() -> None:
    for name in ("xml.dom.pulldom", "xml.dom"):
        sys.modules.pop(name, None)
    with tfmot.hide_module("xml.dom.pulldom"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("xml.dom.pulldom")
        assert "xml.dom" not in sys.modules
    assert importlib.import_module("xml.dom.pulldom") is sys.modules["xml.dom.pulldom"]


def test_what_was_imported_before_stays_and_an_error_ends_it_too() -> None:
    with tfmot.hide_module("json"):
        assert importlib.import_module("json") is sys.modules["json"]
    assert "json" in sys.modules
    with pytest.raises(ZeroDivisionError), tfmot.hide_module("no.such"):
        1 / 0  # noqa: B018
    assert "no.such" not in sys.modules


def test_tf_mot_is_loaded_without_keras_3_and_finds_what_it_would_have_found() -> None:
    code = (
        "import sys, ltx.backends.tf_keras.tfmot\n"
        "from tensorflow_model_optimization.python.core.sparsity.keras import prune_registry\n"
        "assert not {'keras', 'keras.engine', 'sklearn'} & sys.modules.keys()\n"
        "import keras, ltx.backends.tf_keras.tfmot\n"
        "assert keras.__version__ >= '3'\n"
        "assert prune_registry.base_layer is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
