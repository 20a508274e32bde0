"""Which image of several, and the blobs of a layout."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from probe.image.archives import Limits
from probe.image.archives import open_image
from probe.image.archives import this_architecture
from probe.image.view import ViewError
from tests.support.archive_files import LOWER
from tests.support.archive_files import UPPER
from tests.support.archive_files import Layout
from tests.support.archive_files import digest
from tests.support.archive_files import docker_files
from tests.support.archive_files import dump
from tests.support.archive_files import from_bytes
from tests.support.archive_files import named
from tests.support.archive_files import nested_indexes
from tests.support.archive_files import oci
from tests.support.archive_files import platform
from tests.support.archive_files import tar
from tests.support.archive_files import write

OTHER = "s390x" if this_architecture() != "s390x" else "amd64"


def several() -> dict[str, bytes]:
    layout = Layout()
    note: dict[str, Any] = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    return layout.done(
        layout.index(
            layout.image(tar({"bin/own": b""}), **platform(this_architecture())),
            layout.image(tar({"bin/other": b""}), **platform(OTHER, variant="v1")),
            layout.image(tar({"bin/other2": b""}), **platform(OTHER, variant="v2")),
            {**layout.image(tar({"x": b""}), **platform("unknown")), **note},
            **named("a:1"),
        ),
        layout.image(tar({"bin/second": b""}), **named("b:1")),
    )


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"reference": "a:1"}, "/bin/own"),
        ({"reference": "a:1", "architecture": OTHER}, "/bin/other"),
        ({"reference": "b:1"}, "/bin/second"),
    ],
    ids=["this machine's", "asked for", "by name"],
)
def test_choice(options: dict[str, str], path: str) -> None:
    with from_bytes(tar(several()), **options) as image:
        assert image.resolve(path) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "has 2 images, not one: a:1, b:1"),
        ({"reference": "c"}, "no image named c there, only: a:1, b:1"),
        ({"reference": "a:1", "architecture": "vax"}, f"no image for linux/vax there.*{OTHER}"),
        ({"reference": "b:1", "architecture": OTHER}, f"is for {this_architecture()}, not"),
    ],
    ids=["several", "unknown name", "unknown architecture", "wrong architecture"],
)
def test_no_choice(options: dict[str, str], message: str) -> None:
    with pytest.raises(ViewError, match=message):
        from_bytes(tar(several()), **options)


def test_docker_archive_of_several() -> None:
    first, second = docker_files(LOWER), docker_files(UPPER, tag="y:2", name="d")
    rows = json.loads(first["manifest.json"]) + json.loads(second["manifest.json"])
    archive = tar({**first, **second, "manifest.json": dump(rows)})
    with pytest.raises(ViewError, match="has 2 images, not one: x:1, y:2"):
        from_bytes(archive)
    with from_bytes(archive, reference="x:1") as image:
        assert image.read("/etc/a") == b"lower"


def test_three_indexes_are_followed() -> None:
    with from_bytes(tar(nested_indexes(3))) as image:
        assert image.read("/etc/a") == b"lower"


def test_a_layer_many_times(tmp_path: Path) -> None:
    """It is unpacked once, and as many times as there are layers only where there are so many."""
    layout = Layout()
    image = layout.image(*[LOWER] * 9, pack=gzip.compress)
    folder = write(tmp_path, layout.done(image))
    with open_image(str(folder), limits=Limits(total=len(LOWER))) as opened:
        assert opened.read("/etc/a") == b"lower"


def test_layout_blobs_stay_inside(tmp_path: Path) -> None:
    """A blob that is a link to outside is not there."""
    layout = write(tmp_path / "layout", oci())
    blob = layout / "blobs/sha256" / digest(UPPER)[7:]
    blob.rename(tmp_path / "moved")
    blob.symlink_to(tmp_path / "moved")
    with pytest.raises(ViewError, match="no file blobs/"):
        open_image(str(layout))
