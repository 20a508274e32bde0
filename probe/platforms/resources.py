"""CPU and memory as platforms write them, held as vCPUs and MiB."""

import re
from fractions import Fraction

UNITS_PER_VCPU = 1024  # Amazon ECS: a CPU unit is a 1024th of a vCPU
_NUMBER = r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?)"
_CPU = re.compile(_NUMBER + r" ?(?P<unit>m|vCPU|)")
_MEMORY = re.compile(_NUMBER + r" ?(?P<unit>Ki|Mi|Gi|K|M|G|KB|MB|GB|k|m|g|)")
# Kubernetes has powers of two with an `i` and of ten without; Docker and ECS mean powers of two.
_KIB = {"Ki": 1, "Mi": 2**10, "Gi": 2**20, "KB": 1, "MB": 2**10, "GB": 2**20,
        "k": 1, "m": 2**10, "g": 2**20}  # fmt: skip
_DECIMAL = {"K": 10**3, "M": 10**6, "G": 10**9}


def parse_cpu(text: str, bare: Fraction) -> Fraction:
    """Read `250m`, `0.25 vCPU`, or a bare number, of which one is *bare* vCPUs.

    Raises ValueError.
    """
    if (found := _CPU.fullmatch(text)) is None or not Fraction(found["number"]):
        raise ValueError(f"{text!r} is no amount of CPU, such as 250m or 0.25 vCPU")
    unit = {"m": Fraction(1, 1000), "vCPU": Fraction(1), "": bare}[found["unit"]]
    return Fraction(found["number"]) * unit


def parse_memory(text: str, bare: Fraction) -> int:
    """Read `512Mi`, `0.5GB`, `512m`, or a bare number, of which one is *bare* MiB.

    Returns whole MiB, at least one. Raises ValueError.
    """
    if (found := _MEMORY.fullmatch(text)) is None or not Fraction(found["number"]):
        raise ValueError(f"{text!r} is no amount of memory, such as 512Mi or 0.5GB")
    number, unit = Fraction(found["number"]), found["unit"]
    if not unit:
        mib = number * bare
    elif unit in _DECIMAL:
        mib = number * _DECIMAL[unit] / 2**20
    else:
        mib = number * _KIB[unit] / 2**10
    return max(1, round(mib))
