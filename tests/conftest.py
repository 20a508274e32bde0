"""What tests of more than one folder need."""

from collections.abc import Iterator

import pytest

from tests.support import servers
from tests.support.servers import Ports


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    """Ports of loopback servers, one of each kind: healthy, broken, refusing, mute, full."""
    with servers.one_of_each() as found:
        yield found
