"""The fixture `synchronizer`: a mock synchronizer on a free port, for anyone's tests.

    def test_alarm(synchronizer):
        synchronizer.set("hang")
        assert alarm(synchronizer.host, synchronizer.port) == "unhealthy: timeout"

A marker changes how it is made: `@pytest.mark.synchronizer(kind="proxy", time_scale=60)` takes the
arguments of `probe.mock.server.Mock`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from probe.mock.server import Mock


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "synchronizer(**options): how the fixture `synchronizer` makes its mock"
    )


@pytest.fixture
def synchronizer(request: pytest.FixtureRequest) -> Iterator["Mock"]:
    """A mock synchronizer on a free loopback port, healthy until it is told otherwise."""
    from probe.mock.server import Mock  # noqa: PLC0415 # costs only those who use it

    marker = request.node.get_closest_marker("synchronizer")
    with Mock(**(marker.kwargs if marker else {})) as mock:
        yield mock
