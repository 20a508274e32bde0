"""A root with links of every kind, those to outside as well."""

from pathlib import Path

import pytest

from tests.support.archive_files import write


@pytest.fixture(name="root")
def root_(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    root = write(tmp_path / "root", {"etc/x": b"x", "usr/bin/y": b"y"})
    for name, target in {
        "bin": "usr/bin",
        "abs": "/etc/x",
        "out": "../secret",
        "absout": str(tmp_path / "secret"),
        "parent": "..",
        "loop": "loop",
        "proc": "/proc/self/environ",
    }.items():
        (root / name).symlink_to(target)
    return root
