"""The wheel as others install it: the real scripts with their run bit, types, the pytest plugin."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from probe import __version__
from probe.scripts import script_path

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(name="wheel", scope="module")
def build_wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_script_is_in_it(wheel: zipfile.ZipFile) -> None:
    """Byte for byte the file, and it can run."""
    entry = wheel.getinfo("probe/shell/healthcheck.sh")

    assert wheel.read(entry) == script_path().read_bytes()
    assert (entry.external_attr >> 16) & 0o111 == 0o111


def test_nothing_is_missing(wheel: zipfile.ZipFile) -> None:
    """Every file of the package is there, and the type marker; tests are not."""
    names = set(wheel.namelist())
    wanted = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "probe").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert wanted <= names
    assert "probe/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_metadata(wheel: zipfile.ZipFile) -> None:
    """Command and pytest plugin are declared, under the package's version."""
    info = f"split_probe-{__version__}.dist-info"
    entries = wheel.read(f"{info}/entry_points.txt").decode()

    assert "probe = probe.__main__:main" in entries
    assert "probe = probe.mock.pytest_plugin" in entries
