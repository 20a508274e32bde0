"""ELF files, as far as a loader reads them. Pure."""
