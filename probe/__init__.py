"""Health checks for containers that hold bash and nothing else.

    >>> from probe import Target, check
    >>> check(Target(port=3010)).healthy  # doctest: +SKIP
    True
"""

__version__ = "0.1.0"
