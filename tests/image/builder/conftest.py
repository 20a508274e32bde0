"""A Debian root and a program, as every build needs them."""

import shutil
from pathlib import Path

import pytest

from tests.support.debian_root import debian_root


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that no test may change."""
    return debian_root(tmp_path_factory.mktemp("debian"))


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A root of the test's own."""
    folder = tmp_path / "root"
    shutil.copytree(pristine, folder, symlinks=True)
    return folder


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of this machine in the synchronizer's place."""
    path = tmp_path_factory.mktemp("program") / "split-sync"
    shutil.copy("/usr/bin/env", path)
    return path
