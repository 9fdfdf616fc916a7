"""Absent: what is absent for a while is there again, and what is there stays."""

import importlib
import sys

import pytest

from ltx.backends.tf_keras import tfmot_import


def test_a_module_is_not_found_and_neither_are_its_packages_loaded() -> None:
    for name in ("xml.dom.pulldom", "xml.dom"):
        sys.modules.pop(name, None)
    with tfmot_import.hide_module("xml.dom.pulldom"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("xml.dom.pulldom")
        assert "xml.dom" not in sys.modules
    assert importlib.import_module("xml.dom.pulldom") is sys.modules["xml.dom.pulldom"]


def test_what_was_imported_before_stays_and_an_error_ends_it_too() -> None:
    with tfmot_import.hide_module("json"):
        assert importlib.import_module("json") is sys.modules["json"]
    assert "json" in sys.modules
    with pytest.raises(ZeroDivisionError), tfmot_import.hide_module("no.such"):
        1 / 0  # noqa: B018
    assert "no.such" not in sys.modules
