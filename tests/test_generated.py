"""What is generated is up to date, and what stands twice is the same."""

from pathlib import Path

import pytest

from probe import __version__
from probe.scripts import script_text
from tests.generate import FILES
from tests.generate import generate


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_generated_blocks_are_up_to_date(file: Path) -> None:
    """`make generate` changes nothing."""
    text = file.read_text(encoding="utf-8")

    assert generate(text) == text


def test_the_script_has_the_packages_version() -> None:
    """The line `# healthcheck VERSION`, which tells old copies, is the package's."""
    assert script_text().splitlines()[1] == f"# healthcheck {__version__}"
    assert f"echo healthcheck {__version__} " in script_text()
