"""Fargate's sizes and bounds, compared with the prose of the API's model."""

import re

import pytest

from probe.platforms import fargate
from probe.platforms.fargate import Size
from tests.support.ecs_model import MODEL
from tests.support.ecs_model import prose

_ITEM = re.compile(r"(?P<memory>[^-]*?) - Available cpu values: (?P<cpu>[0-9]+) \([^)]*\)")
_RANGE = re.compile(
    r"Between ([0-9]+) ?(?:\([0-9]+ GB\)|(?:GB)?) and ([0-9]+) ?(?:GB |\([0-9]+ GB\) )?"
    r"in (?:increments of )?([0-9]+)"
)


def _memories(text: str) -> list[int]:
    """Read `512 (0.5 GB), 1024 (1 GB)` or `Between 16 GB and 60 GB in 4 GB increments`."""
    if found := _RANGE.search(text):
        first, last, step = (int(number) for number in found.groups())
        unit = 1 if last > 1000 else 1024
        return list(range(first * unit, last * unit + 1, step * unit))
    return [int(number) for number in re.findall(r"([0-9]+) \([0-9.]+ GB\)", text)]


def _documented() -> dict[int, list[int]]:
    text = prose("RegisterTaskDefinitionRequest", "memory")
    return {int(item["cpu"]): _memories(item["memory"]) for item in _ITEM.finditer(text)}


def test_sizes_are_the_documented_ones() -> None:
    """Every pair of CPU and memory is the API reference's, and none is missing."""
    assert {cpu: list(sizes) for cpu, sizes in fargate.SIZES.items()} == _documented()


@pytest.mark.parametrize("member", ["startTimeout", "stopTimeout"])
def test_timeouts_are_the_documented_ones(member: str) -> None:
    """Both timeouts have the bounds that the API reference gives."""
    bounds = f"valid values for Fargate are {fargate.MIN_TIMEOUT}-{fargate.MAX_TIMEOUT} seconds"
    assert bounds in prose("ContainerDefinition", member)


_SAYS_NOT = re.compile(
    r"Fargate launch type, the [a-z]+ parameter (isn't|is not) supported"
    r"|isn't valid for containers in tasks using the Fargate launch type"
    r"|not supported for Windows containers or tasks run on Fargate",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("ContainerDefinition", {"privileged", "dockerSecurityOptions"}),
        ("LinuxParameters", fargate.UNSUPPORTED_LINUX),
    ],
)
def test_what_the_prose_refuses_is_in_the_table(shape: str, expected: set[str]) -> None:
    """No member of which the API reference says that Fargate does not take it is forgotten."""
    found = {
        name for name in MODEL.shape_for(shape).members if _SAYS_NOT.search(prose(shape, name))
    }
    assert found == expected
    assert found <= fargate.UNSUPPORTED | fargate.UNSUPPORTED_LINUX


NEAREST = [
    pytest.param(Size(256, 512), Size(256, 512), id="valid as it is"),
    pytest.param(Size(1, 1), Size(256, 512), id="below the least"),
    pytest.param(Size(256, 513), Size(256, 1024), id="memory between two steps"),
    pytest.param(Size(256, 4096), Size(512, 4096), id="memory that needs more CPU"),
    pytest.param(Size(300, 512), Size(512, 1024), id="CPU between two steps"),
    pytest.param(Size(8192, 20000), Size(8192, 20480), id="steps of 4 GB"),
    pytest.param(Size(20000, 512), Size(16384, 122880), id="above the most"),
    pytest.param(Size(256, 200000), Size(16384, 122880), id="memory above the most"),
]


@pytest.mark.parametrize(("asked", "expected"), NEAREST)
def test_nearest(asked: Size, expected: Size) -> None:
    """What is offered instead is valid, and holds what was asked for wherever anything does."""
    assert fargate.nearest(asked) == expected
    assert fargate.is_valid(expected)
    assert fargate.is_valid(asked) == (asked == expected)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, 2), (2, 2), (105, 105), (119.6, 120), (9000, 120)]
)
def test_bounded_timeout(seconds: float, expected: int) -> None:
    """Timeouts are whole seconds within Fargate's bounds."""
    assert fargate.bounded_timeout(seconds) == expected
