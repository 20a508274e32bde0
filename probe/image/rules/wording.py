"""How rules tell many things in one sentence."""

from collections.abc import Iterable

SHOWN = 5
_MEGA = 10**6


def some(items: Iterable[str], shown: int = SHOWN) -> str:
    """Return the first few items, and how many there are besides."""
    every = list(items)
    rest = len(every) - shown
    return ", ".join(every[:shown]) + (f" and {rest} more" if rest > 0 else "")


def megabytes(size: int) -> str:
    """Return a number of bytes as `12.3 MB`, which are millions of bytes."""
    return f"{size / _MEGA:.1f} MB"
