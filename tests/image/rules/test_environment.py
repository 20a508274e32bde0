"""PATH, the loader's variables, and exposed ports."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from probe.image.rules.environment import RULES
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import library
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.support.sketches import told

CONFIG = ImageConfig(entrypoint=("/app",), user="1")
FILES: Mapping[str, Drawn] = {
    "/app": Program(),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/opt/lib": Folder(),
    "/opt/lib/a.so": library("a.so"),
}
PATH = ["warning path-relative"]
INFO = ["info library-path-missing /usr/local/nvidia/lib"]

VARIABLES = [
    pytest.param({"PATH": "/usr/bin:/bin"}, [], id="PATH"),
    pytest.param({}, [], id="no PATH, where the engine has one"),
    pytest.param({"PATH": ""}, PATH, id="empty PATH"),
    pytest.param({"PATH": "/bin:"}, PATH, id="a colon behind"),
    pytest.param({"PATH": "/bin::/usr/bin"}, PATH, id="two colons"),
    pytest.param({"PATH": ".:/bin"}, PATH, id="the working directory"),
    pytest.param({"PATH": "$HOME/bin:/bin"}, PATH, id="a variable that nobody expands"),
    pytest.param({"LD_LIBRARY_PATH": "/opt/lib"}, [], id="library path"),
    pytest.param({"LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/opt/lib"}, INFO, id="one is gone"),
]


@pytest.mark.parametrize(("env", "expected"), VARIABLES)
def test_variables(env: dict[str, str], expected: list[str]) -> None:
    assert told(RULES, Sketch(FILES, replace(CONFIG, env=env))) == expected


def test_static_programs_load_nothing() -> None:
    config = replace(CONFIG, env={"LD_LIBRARY_PATH": "/gone"})
    assert told(RULES, Sketch({"/app": static()}, config)) == []


PORTS = [
    *(pytest.param(port, [], id=port) for port in ("80", "3010/tcp", "53/udp", "1-65535/sctp")),
    *(
        pytest.param(port, ["warning expose-malformed"], id=port or "empty")
        for port in ("http", "0", "65536/tcp", "80/quic", "80/", "-80", "")
    ),
]


@pytest.mark.parametrize(("port", "expected"), PORTS)
def test_ports(port: str, expected: list[str]) -> None:
    assert told(RULES, Sketch(FILES, replace(CONFIG, exposed=(port,)))) == expected
