"""A small Debian root: what an image takes of this machine, and dpkg's records of it."""

import re
import shutil
from pathlib import Path

from tests.support.components import missing

PACKAGES = ("base-files", "bash", "ca-certificates", "libc6", "libtinfo6")
_FILES = (
    "bin",
    "lib",
    "lib64",
    "sbin",
    "etc/os-release",
    "etc/ca-certificates.conf",
    "usr/bin/bash",
    "usr/lib/os-release",
    "usr/lib64/ld-*.so.*",
    "usr/lib/*-linux-gnu*/ld-linux*.so.*",
    "usr/lib/*-linux-gnu*/libc.so.6",
    "usr/lib/*-linux-gnu*/libtinfo.so.6*",
    "usr/share/ca-certificates/mozilla/[AB]*.crt",
    *(f"usr/share/doc/{name}/copyright" for name in PACKAGES),
    *(f"var/lib/dpkg/info/{name}{stem}.{what}"
      for name in PACKAGES for stem in ("", ":*") for what in ("list", "md5sums")),
)  # fmt: skip
_STATUS = Path("/var/lib/dpkg/status")


def debian_root(folder: Path) -> Path:
    """Copy this machine's files and records of `PACKAGES` below a folder."""
    if not _STATUS.exists() or not Path("/lib").is_symlink():
        missing("no Debian with merged-/usr", "run the tests on Debian 12 or newer")
    for pattern in _FILES:
        for path in Path("/").glob(pattern):
            place = folder / path.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy2(path, place, follow_symlinks=False)
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / "usr" / name).mkdir(exist_ok=True)
    (folder / "var/lib/dpkg/status").write_text(status())
    return folder


def status() -> str:
    """Return the paragraphs of `PACKAGES`."""
    wanted = re.compile(rf"^Package: ({'|'.join(PACKAGES)})$", re.MULTILINE)
    paragraphs = _STATUS.read_text().split("\n\n")
    return "".join(f"{one}\n\n" for one in paragraphs if wanted.search(one))
