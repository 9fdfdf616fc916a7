"""The command `ltx check`: the conformance checks of an installed finder or score."""

from collections.abc import Sequence

from ltx.config import gin_files
from ltx.config import plugins as registry
from ltx.core.finder import Finder
from ltx.reporting import console
from ltx.testing import WatchedLab, conformance
from ltx.testing.example_finders import example
from ltx.testing.harness import FinderHarness
from ltx.testing.score_checks import ScoreHarness


def run(name: str, files: Sequence[str], params: Sequence[str], allow_imports: bool) -> int:
    """Print the kind of the plugin, its settings and the result of each check; 1 if one failed.

    It is tried on every task that the gin files set, too.
    """
    cls = registry.load(name)
    is_finder = issubclass(cls, Finder)
    if files or params:
        subject = gin_files.build(name, files, params, allow_imports)
    else:
        subject = example(cls) if is_finder else cls()
    tasks = gin_files.tasks(files, params, allow_imports) if files or params else {}
    harness = (FinderHarness if is_finder else ScoreHarness)(subject, WatchedLab)  # type: ignore[arg-type]
    results = [conformance.run_check(harness, check) for check in conformance.checks_of(harness)]
    results += [conformance.run_on_task(harness, label, task) for label, task in tasks.items()]
    first: dict[str, str] = {}  # an error that ends the search fails each check that needs it
    for result in results:
        first.setdefault(result.text, result.check)
    rows = [
        [one.check, one.outcome, one.text if same == one.check else f"as {same}"]
        for one in results
        for same in [first[one.text] if one.outcome == "failed" else one.check]
    ]
    print("finder" if is_finder else "score", subject)
    console.console().print(console.make_table(["check", "verdict", ""], rows))
    return 1 if any(result.outcome == "failed" for result in results) else 0
