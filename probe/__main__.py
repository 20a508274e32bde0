"""The console script. A plain `probe check` goes past typer, which takes longer than the check."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["check"] and "--help" not in arguments:
        from probe.cli.check import run  # noqa: PLC0415

        return run(arguments[1:])
    from probe.cli.app import main as run_app  # noqa: PLC0415

    return run_app(arguments)


if __name__ == "__main__":
    sys.exit(main())
