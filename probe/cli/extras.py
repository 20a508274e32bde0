"""What a command needs beyond what every installation has."""

from importlib.util import find_spec

from probe.cli.errors import UsageError

IMAGE = ("tree_sitter", "tree_sitter_bash")


def require_extra(command: str, extra: str, modules: tuple[str, ...]) -> None:
    """Say which extra to install where a module is missing. Raises UsageError."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{command} needs {' and '.join(missing)}: pip install 'split-probe[{extra}]'"
        )
