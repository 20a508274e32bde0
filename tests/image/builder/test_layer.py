"""The layer is the same for the same items, and any tar reader reads it."""

import io
import tarfile
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.image.builder.errors import BuildError
from probe.image.builder.items import Item
from probe.image.builder.items import file
from probe.image.builder.items import folder
from probe.image.builder.items import link
from probe.image.builder.items import with_parents
from probe.image.builder.layer import layer

ITEMS = [
    file("/usr/bin/bash", b"#" * 513, 0o755),
    file("/usr/bin-x", b""),
    link("/bin", "usr/bin"),
    folder("/tmp", 0o1777),
    file("/usr/bin/" + "n" * 200, b"long"),
]


def tar(items: list[Item], epoch: int = 7) -> bytes:
    return b"".join(layer(with_parents(items), epoch))


def test_any_order() -> None:
    """The order in which items are found does not matter."""
    assert len({tar(list(order)) for order in permutations(ITEMS)}) == 1


def test_members() -> None:
    """Parents first, root's, one time, no names of users; modes and links as they are."""
    with tarfile.open(fileobj=io.BytesIO(tar(ITEMS))) as found:
        members = found.getmembers()
    assert [one.name for one in members[:5]] == ["bin", "tmp", "usr", "usr/bin", "usr/bin/bash"]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 7)}
    by_name = {one.name: one for one in members}
    assert by_name["tmp"].mode == 0o1777
    assert by_name["bin"].linkname == "usr/bin"
    assert by_name["usr/bin/bash"].size == 513
    assert by_name["usr"].isdir()


def test_time_is_in_it() -> None:
    """Another time makes another layer."""
    assert tar(ITEMS, 7) != tar(ITEMS, 8)


NAME = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120
).filter(lambda name: name not in {".", ".."})


@given(st.dictionaries(NAME, st.binary(max_size=1100), max_size=5))
def test_reads_back(files: dict[str, bytes]) -> None:
    """Whatever the names and sizes are."""
    data = tar([file(f"/d/{name}", content) for name, content in files.items()])
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        read = {one.name[2:]: found.extractfile(one) for one in found.getmembers() if one.isfile()}
        assert {name: one.read() for name, one in read.items() if one} == files


def test_nothing_stands_in_a_file() -> None:
    """Neither in a link: what was written through it would land elsewhere."""
    with pytest.raises(BuildError, match="/bin/x: cannot stand in /bin, which is no directory"):
        with_parents([link("/bin", "usr/bin"), file("/bin/x", b"")])
