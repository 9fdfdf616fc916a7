"""Importing: what can be imported is named, and a set without a default asks for its files."""

import pytest

from ltx.core.errors import UsageError
from ltx.data import importing


def test_another_set_is_refused_with_its_remedy() -> None:
    with pytest.raises(UsageError, match=r"fashion_mnist, languages, king_james, got 'mnist'"):
        importing.import_files("mnist", "somewhere")


def test_a_set_that_is_nowhere_by_default_asks_for_its_files() -> None:
    with pytest.raises(UsageError, match=r"--from=DIR with the four"):
        importing.import_files("fashion_mnist", None)
