"""Open an image wherever it lies: root directory, docker-archive, OCI layout, or a root's tar.

What is read is not trusted. Nothing outside the root or the archive is opened, no device and no
FIFO; nothing is extracted; what is held or looked at has a limit (`Limits`), and what cannot be
read is a ViewError. Formats:
docker-archive: https://github.com/moby/docker-image-spec/blob/main/spec.md ("Combined Image JSON +
Filesystem Changeset Format"; v1.2); OCI layout, index, manifest, config and layers:
https://github.com/opencontainers/image-spec/blob/v1.1.0/ image-layout.md, image-index.md,
manifest.md, config.md, layer.md; tar: POSIX pax (ustar and extended headers), with GNU's long names
and binary numbers.

File contents are read from where they lie, by offset; a compressed layer is first written to a
temporary file without a name.
"""

from probe.image.archives.config import parse_config
from probe.image.archives.image import Image
from probe.image.archives.image import open_image
from probe.image.archives.image import this_architecture
from probe.image.archives.limits import LIMITS
from probe.image.archives.limits import MAX_DEPTH
from probe.image.archives.limits import Limits

__all__ = [
    "LIMITS",
    "MAX_DEPTH",
    "Image",
    "Limits",
    "open_image",
    "parse_config",
    "this_architecture",
]
