"""What the loader prints, and the same of a closure, for tests that compare both."""

import os
import re

from probe.image.loader.closure import Closure
from probe.image.loader.closure import FaultKind


def traced(output: str) -> tuple[set[str], set[str]]:
    """Read what ldd prints of one program: the files it finds, and the names it does not."""
    found = re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", output, re.MULTILINE)
    missing = re.findall(r"^\t(\S+) => not found", output, re.MULTILINE)
    return {os.path.realpath(path) for path in found}, set(missing)


def loaded(result: Closure, program: str) -> tuple[set[str], set[str]]:
    missing = {fault.subject for fault in result.faults if fault.kind is FaultKind.MISSING}
    return set(result.paths) - {os.path.realpath(program)}, missing
