"""What one image may ask of this machine, and what is left of it."""

from dataclasses import dataclass

from probe.image.view import MAX_NAMES
from probe.image.view import ViewError

# A full Debian desktop has some 400,000 files. What is above is refused in seconds: an entry takes
# some 20 microseconds to read and place, a step one.
MAX_ENTRIES = 600_000
MAX_STEPS = 5_000_000
MAX_TOTAL = 8 * 2**30
# The OCI specification says that registries take manifests of at least 4 MiB; nobody's is larger.
MAX_METADATA = 4 * 2**20
MAX_LAYERS = 512
MAX_PAX = 2**20
# Directories open at once while a root is listed; real ones are some twenty deep.
MAX_DEPTH = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may ask of this machine.

    `entries` of all layers and archives together, with as many extended headers, `names` their
    characters, `steps` what may be looked up to place them; `total` the bytes written to temporary
    files; `metadata` the bytes of one manifest, index or configuration.
    """

    entries: int = MAX_ENTRIES
    names: int = MAX_NAMES
    steps: int = MAX_STEPS
    total: int = MAX_TOTAL
    metadata: int = MAX_METADATA
    layers: int = MAX_LAYERS


LIMITS = Limits()


@dataclass(slots=True)
class Budget:
    """What is left of the limits while one image is opened."""

    limits: Limits
    entries: int = 0
    headers: int = 0
    names: int = 0
    total: int = 0

    def entry(self, names: int) -> None:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise ViewError(f"the image has more than {self.limits.entries} entries")
        self._name(names)

    def extended(self, size: int) -> None:
        """Count an extended header: some tars have one before each entry."""
        self.headers += 1
        if self.headers > self.limits.entries:
            raise ViewError(f"the image has more than {self.limits.entries} extended headers")
        self._name(size)

    def _name(self, size: int) -> None:
        self.names += size
        if self.names > self.limits.names:
            raise ViewError(f"the names in the image have more than {self.limits.names} characters")

    def layers(self, number: int) -> None:
        if number > self.limits.layers:
            raise ViewError(f"the image has more than {self.limits.layers} layers")

    def write(self, size: int) -> None:
        self.total += size
        if self.total > self.limits.total:
            raise ViewError(f"the image unpacks to more than {self.limits.total} bytes")
