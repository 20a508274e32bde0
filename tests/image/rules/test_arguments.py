"""Files that the command names: those that come with the image, and those that may come later."""

import pytest

from probe.image.rules.arguments import argument_missing
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.image.rules.judging import places

CASES = [
    pytest.param(("/app", "/srv/app.py"), [("warning", "/srv/app.py")], id="text of the program"),
    pytest.param(("/app", "-c", "/etc/a.conf"), [("info", "/etc/a.conf")], id="configuration"),
    pytest.param(("/app", "--config=/etc/a.yaml"), [("info", "/etc/a.yaml")], id="in an option"),
    pytest.param(("/app", "/srv/../etc/a.yml"), [("info", "/etc/a.yml")], id="not normal"),
    pytest.param(("/app", "--log=/var/log/app"), [], id="no such ending"),
    pytest.param(("/app", "/run/app.conf"), [], id="made when it runs"),
    pytest.param(("/app", "/data/app.json"), [], id="in a volume"),
    pytest.param(("/app", "a.py"), [], id="relative"),
    pytest.param(("/app", "http://host/a.json"), [], id="an address"),
    pytest.param(("/srv/app.py",), [], id="the program itself, which another rule tells"),
]


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_argument(words: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    """A missing file counts as what its ending says it is."""
    config = ImageConfig(entrypoint=words, volumes=("/data",))
    assert places(argument_missing, {"/app": static()}, config) == expected
