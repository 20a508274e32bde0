"""CPU and memory: a bare number means what the platform says, a unit means the same everywhere."""

from fractions import Fraction

import pytest

from probe.platforms.resources import parse_cpu
from probe.platforms.resources import parse_memory

ECS = Fraction(1, 1024)
VCPU = Fraction(1)
MIB = Fraction(1)
BYTE = Fraction(1, 2**20)


@pytest.mark.parametrize(
    ("text", "bare", "expected"),
    [
        pytest.param("256", ECS, Fraction(1, 4), id="ECS units"),
        pytest.param("2", VCPU, Fraction(2), id="vCPUs"),
        pytest.param("0.5", VCPU, Fraction(1, 2), id="half of one"),
        pytest.param("250m", ECS, Fraction(1, 4), id="thousandths"),
        pytest.param("250m", VCPU, Fraction(1, 4), id="thousandths everywhere"),
        pytest.param("0.25 vCPU", ECS, Fraction(1, 4), id="vCPU"),
        pytest.param("0.25vCPU", VCPU, Fraction(1, 4), id="vCPU without a blank"),
        pytest.param("0.1", VCPU, Fraction(1, 10), id="exact"),
    ],
)
def test_cpu(text: str, bare: Fraction, expected: Fraction) -> None:
    """CPU is held as an exact number of vCPUs."""
    assert parse_cpu(text, bare) == expected


@pytest.mark.parametrize(
    ("text", "bare", "expected"),
    [
        pytest.param("512", MIB, 512, id="MiB on ECS"),
        pytest.param("536870912", BYTE, 512, id="bytes"),
        pytest.param("512Mi", BYTE, 512, id="Mi"),
        pytest.param("1Gi", BYTE, 1024, id="Gi"),
        pytest.param("524288Ki", BYTE, 512, id="Ki"),
        pytest.param("0.5GB", MIB, 512, id="GB as AWS has it"),
        pytest.param("512m", BYTE, 512, id="m as Docker has it"),
        pytest.param("512 MB", MIB, 512, id="a blank"),
        pytest.param("2g", BYTE, 2048, id="g"),
        pytest.param("512M", BYTE, 488, id="M is a million"),
        pytest.param("1G", BYTE, 954, id="G is a milliard"),
        pytest.param("1K", BYTE, 1, id="at least one"),
    ],
)
def test_memory(text: str, bare: Fraction, expected: int) -> None:
    """Memory is held in whole MiB."""
    assert parse_memory(text, bare) == expected


BAD = ["", "0", "0m", "0.0", "-1", "1.", ".5", "1e3", "x", "1 m m", "1\n", "m", "1  m", "٣"]


@pytest.mark.parametrize("text", [*BAD, "1Gi", "1vcpu", "1000000m m"])
def test_cpu_refuses(text: str) -> None:
    """Anything else is refused, quoted, with an example; none at all is nothing to run on."""
    with pytest.raises(ValueError, match=r"is no amount of CPU, such as 250m or 0\.25 vCPU"):
        parse_cpu(text, VCPU)


@pytest.mark.parametrize("text", [*BAD, "1vCPU", "1Ti", "1mb", "1gi"])
def test_memory_refuses(text: str) -> None:
    """The same of memory."""
    with pytest.raises(ValueError, match=r"is no amount of memory, such as 512Mi or 0\.5GB"):
        parse_memory(text, MIB)
