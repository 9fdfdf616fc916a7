"""Trust: which packages a dotted path may import, said by the command or the environment."""

import pytest

from ltx import UsageError
from ltx.core import trust


def test_code_that_runs_anyway_trusts_every_package() -> None:
    trust.require("model", "os.system")


def test_within_only_the_named_packages_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.VARIABLE, "theirs, ours,")
    with trust.only(["mine"], "--trust"):
        for name in ("mine.net", "mine.nets:net", "theirs.net", "ours.deep.net"):
            trust.require("model", name)
        with trust.only([], "--trust"), pytest.raises(UsageError, match="'mine'"):
            trust.require("model", "mine.net")
        for name in ("os.system", "mine_too.net", "minex:net", "net"):
            with pytest.raises(UsageError, match="if you trust its code, pass --trust="):
                trust.require("model", name)
    trust.require("model", "os.system")


def test_a_refusal_ends_with_the_same_trust_as_before() -> None:
    with pytest.raises(UsageError), trust.only([], "--trust"):
        trust.require("model", "os.system")
    trust.require("model", "os.system")


def test_the_error_says_what_to_pass() -> None:
    with trust.only([], "--trust"), pytest.raises(UsageError) as refused:
        trust.require("model", "os.system")
    for text in ("Task.model 'os.system'", "--trust=os ", "trust=('os',)", "LTX_TRUST=os"):
        assert text in str(refused.value)


def test_what_a_trusted_package_imported_from_elsewhere_is_not_its_own() -> None:
    with trust.only(["mine"], "--trust"):
        trust.require("model", "mine.net", "mine.nets")
        with pytest.raises(UsageError, match=r"is defined in the package 'posix'.*--trust=posix"):
            trust.require("model", "mine.net", "posix")


@pytest.mark.parametrize("bad", ["mine", ["my.models"], [""], ["*"], [3], 3, None])
def test_only_names_of_top_packages_are_taken(bad: object) -> None:
    with pytest.raises(UsageError, match="--trust: expected"), trust.only(bad, "--trust"):  # type: ignore[arg-type]
        pass


def test_the_variable_is_checked_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.VARIABLE, "os.path")
    with pytest.raises(UsageError, match=r"LTX_TRUST: .*got 'os\.path'"), trust.only([], "--trust"):
        pass
