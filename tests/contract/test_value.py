"""`value` does what `dataclass(frozen=True)` does, as far as we use it: each test asks both."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from probe import TLS
from probe import Target
from probe import Verdict
from probe.contract.value import value


class _Fields:
    """What both decorators are put on."""

    x: int
    y: int = 2
    z: str = "z"


def made_by(decorator: Callable[[type], type]) -> type:
    fields = {"__annotations__": dict(_Fields.__annotations__), "y": 2, "z": "z"}
    return decorator(type("Point", (), {"__qualname__": "Point", **fields}))


KINDS = {"value": made_by(value), "dataclass": made_by(dataclass(frozen=True))}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


MADE = [
    pytest.param((1,), {}, (1, 2, "z"), id="defaults"),
    pytest.param((1, 3), {}, (1, 3, "z"), id="by-position"),
    pytest.param((), {"x": 1, "z": "q"}, (1, 2, "q"), id="by-name"),
    pytest.param((1,), {"y": 5}, (1, 5, "z"), id="mixed"),
]


@pytest.mark.parametrize(("values", "named", "fields"), MADE)
def test_make(
    kind: Any, values: tuple[Any, ...], named: dict[str, Any], fields: tuple[Any, ...]
) -> None:
    made = kind(*values, **named)

    assert (made.x, made.y, made.z) == fields


REFUSED = [
    pytest.param((), {}, id="missing"),
    pytest.param((1, 2, "3", 4), {}, id="too-many"),
    pytest.param((1,), {"x": 1}, id="twice"),
    pytest.param((1,), {"w": 1}, id="unknown"),
]


@pytest.mark.parametrize(("values", "named"), REFUSED)
def test_refuse(kind: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


def test_frozen(kind: Any) -> None:
    made = kind(1)
    with pytest.raises(AttributeError):
        made.x = 2
    with pytest.raises(AttributeError):
        del made.x
    with pytest.raises(AttributeError):
        made.w = 2

    assert made == kind(1)


def test_equality(kind: Any) -> None:
    """Equal fields are equal values, of the same class only."""
    assert kind(1) == kind(1)
    assert kind(1) != kind(2)
    assert kind(1) != (1, 2, "z")
    assert kind(1) != made_by(value)(1)


def test_hash(kind: Any) -> None:
    assert len({kind(1), kind(1), kind(2)}) == 2


def test_repr(kind: Any) -> None:
    assert repr(kind(1)) == "Point(x=1, y=2, z='z')"


def test_match(kind: Any) -> None:
    match kind(1):
        case kind(x, 2, z="z"):
            assert x == 1
        case _:
            pytest.fail("not matched by position")


def test_post_init() -> None:
    """`__post_init__` runs when all fields are there."""
    seen = []

    @value
    class Told:
        x: int

        def __post_init__(self) -> None:
            seen.append(self.x)

    Told(7)
    assert seen == [7]


@pytest.mark.parametrize("made", [Target(port=1), Verdict("200"), TLS()], ids=repr)
def test_copies(made: Any) -> None:
    """A value survives copying and pickling."""
    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
