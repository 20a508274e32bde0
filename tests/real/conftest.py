"""One engine for all that runs on it, and Debian's image, which takes a minute to make."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.components import require
from tests.support.components import require_root
from tests.support.dockerfiles import import_debian
from tests.support.dockerfiles import wheels_in
from tests.support.engine import Engine
from tests.support.engine import daemon


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    require_root()
    folder = tmp_path_factory.mktemp("docker")
    try:
        with daemon(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def debian(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    require("mmdebstrap")
    import_debian(engine, tmp_path_factory.mktemp("debian") / "debian.tar")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where pip finds what the project needs."""
    with wheels_in(tmp_path_factory.mktemp("wheels")) as address:
        yield address
