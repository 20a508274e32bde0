"""Measure side by side and print the tables as Markdown: `python -m tests.bench [PART ...]`.

A figure that misses its target fails nothing: other load on the machine moves it.
"""

import argparse
import sys

from tests.bench import check
from tests.bench import deploy
from tests.bench import image
from tests.bench import library
from tests.bench import shell
from tests.bench import sidecar

PARTS = {
    "shell": shell.report,
    "check": check.report,
    "library": library.report,
    "deploy": deploy.report,
    "image": image.report,
    "sidecar": sidecar.report,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=100, help="runs of each program in a round")
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no part named {', '.join(sorted(unknown))}")
    for part in options.parts or PARTS:
        for line in PARTS[part](options.rounds, options.runs):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


main()
