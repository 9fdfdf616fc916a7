"""Write docs/results.md from the stores of the studies that were run.

    python tools/results --stores=DIR [--stores=MORE] [--out=docs/results.md]

DIR holds a store for each study of gin_configs/studies/, named as its file; a study without one is
shown as not run. If several folders have a store of a study, the last finished one counts.
DIR/NAME.err, if it exists, holds the output of bash's `time` for the run of NAME.

The papers' claims are in papers.py, what each compares in the trials of a study in evidence.py, and
the rule that decides on them in claims.py. runs.py reads the stores, page.py writes the page.
"""

import argparse
from pathlib import Path

from page import page
from runs import ROOT, read, studies


def main() -> None:
    parser = argparse.ArgumentParser(prog="results", description=__doc__.partition("\n")[0])
    parser.add_argument("--stores", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results.md")
    flags = parser.parse_args()
    flags.out.write_text(page([read(flags.stores, name) for name in studies()]))


if __name__ == "__main__":
    main()
