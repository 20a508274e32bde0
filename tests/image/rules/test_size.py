"""Notes of what the image weighs."""

from probe.image.rules.size import image_size
from probe.image.rules.size import unreached_files
from probe.image.rules.wording import megabytes
from probe.image.rules.wording import some
from probe.image.sketch import Drawn
from probe.image.sketch import Link
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.image.rules.judging import judge

RUNS_APP = ImageConfig(entrypoint=("/bin/app",))
IMAGE: dict[str, Drawn] = {
    "/bin/app": Link("app-1"),
    "/bin/app-1": static("x" * 2_000_000),
    "/usr/share/doc/app": Text("x" * 10),
    "/usr/share/extra": Text("x" * 1_500_000),
    "/usr/share/small": Text("x" * 100_000),
    "/var/lib/dpkg/status": Text("Package: extra\nVersion: 1\n"),
    "/var/lib/dpkg/info/extra.list": Text("/usr/share/extra\n"),
}


def test_size() -> None:
    """Files by size, then packages by size, those of no package together."""
    (found,) = judge(image_size, IMAGE)
    assert found.message.startswith(
        "3.6 MB in 6 files; largest: /bin/app-1 2.0 MB, /usr/share/extra 1.5 MB,"
    )
    assert found.message.endswith("; by package: no package 2.1 MB, extra 1.5 MB")


def test_no_packages() -> None:
    """An image without a database says nothing of packages."""
    (found,) = judge(image_size, {"/a": Text("x" * 100_000), "/b": Text("x" * 100_000)})
    assert found.message == "0.2 MB in 2 files; largest: /a 0.1 MB, /b 0.1 MB"


def test_unreached() -> None:
    """What the command leads to, licences and the package database do not count."""
    (found,) = judge(unreached_files, IMAGE, RUNS_APP)
    assert found.message == (
        "nothing was seen to open 2 of 6 files (1.6 MB); largest: /usr/share/extra 1.5 MB,"
        " /usr/share/small 0.1 MB; by package: extra 1.5 MB, no package 0.1 MB"
    )


def test_unreached_needs_a_command() -> None:
    """Of a root that starts nothing by itself nobody can say what is of no use."""
    assert judge(unreached_files, IMAGE) == []


def test_wording() -> None:
    """Lists are cut with a count, sizes have one decimal."""
    assert some("abc") == "a, b, c"
    assert some("abcdefg") == "a, b, c, d, e and 2 more"
    assert (megabytes(0), megabytes(37_449_999)) == ("0.0 MB", "37.4 MB")
