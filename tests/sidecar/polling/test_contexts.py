"""TLS contexts: one for equal settings, a new one when a file changes."""

import os
import ssl
from pathlib import Path

import pytest

from probe import TLS
from probe.sidecar.polling.contexts import Contexts


@pytest.fixture
def authorities(tmp_path: Path) -> Path:
    """A bundle of our own: what the machine trusts, copied."""
    found = ssl.get_default_verify_paths().cafile
    if found is None:
        pytest.skip("no bundle of authorities: apt-get install ca-certificates")
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(found).read_bytes())
    return bundle


def test_kept(authorities: Path) -> None:
    contexts = Contexts()
    first = contexts.of(TLS(ca=str(authorities)))

    assert contexts.of(TLS(ca=str(authorities))) is first
    assert contexts.of(TLS(ca=str(authorities), insecure=True)) is not first
    assert contexts.of(TLS()) is contexts.of(TLS())


def test_renewed(authorities: Path) -> None:
    """A certificate that is replaced under way is taken at the next check."""
    contexts = Contexts()
    first = contexts.of(TLS(ca=str(authorities)))
    os.utime(authorities, ns=(1, 1))

    assert contexts.of(TLS(ca=str(authorities))) is not first


def test_missing() -> None:
    """A file that is not there is told at each check, and not remembered."""
    contexts = Contexts()
    for _ in range(2):
        with pytest.raises(OSError, match="No such file"):
            contexts.of(TLS(ca="/nonexistent"))
