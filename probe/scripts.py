"""The shell scripts: text, path, and the inline form. The only reader of `shell/`."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def script_path(name: str = "healthcheck.sh") -> Path:
    """Return where the script is: in the installed package, or in a checkout beside it."""
    installed = _PACKAGE / "shell" / name
    return installed if installed.exists() else _PACKAGE.parent / "shell" / name


def script_text(name: str = "healthcheck.sh") -> str:
    return script_path(name).read_text(encoding="ascii")


def inline(text: str) -> str:
    """Make the one-argument form for `bash -p -c`: without comments and indentation.

    The line `# healthcheck VERSION` stays, for it tells old copies.
    """
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(
        line for line in lines if line and (line[0] != "#" or line.startswith("# healthcheck "))
    )
