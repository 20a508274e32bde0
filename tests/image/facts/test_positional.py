"""What a script makes of its arguments before it runs them."""

import pytest

from probe.image.facts.positional import chooses
from probe.image.facts.positional import put_before

BEFORE = [
    pytest.param('set -- node "$@"', ("node",), id="docker-library"),
    pytest.param('  set -- gosu redis "$0" "$@"', ("gosu",), id="behind another"),
    pytest.param("set -- 'app' \"${@}\"", ("app",), id="quoted"),
    pytest.param('set -- a "$@"\nset -- a -x "$@"\nset -- b "$@"', ("a", "b"), id="each once"),
    pytest.param('set -- "$program" "$@"', (), id="not known"),
    pytest.param("set -- a b", (), id="in place of them"),
    pytest.param('# set -- node "$@"', (), id="comment"),
    pytest.param("set -e", (), id="an option"),
]


@pytest.mark.parametrize(("text", "expected"), BEFORE)
def test_put_before(text: str, expected: tuple[str, ...]) -> None:
    """A program counts where it stands as it is and the script's arguments follow."""
    assert put_before(text) == expected


CHOICES = [
    pytest.param('shift; exec "$@"', True, id="shift"),
    pytest.param('case $1 in\nweb) run ;;\n*) exec "$@" ;;\nesac', True, id="otherwise exec"),
    pytest.param('case $1 in\nweb | w) exec /app ;;\nesac\nexec "$@"', True, id="exec of another"),
    pytest.param('if [ "$1" = "web" ]; then exec /app; fi\nexec "$@"', True, id="compared"),
    pytest.param('if [ "$1" = web ]; then chown a b; fi\nexec "$@"', False, id="prepared for"),
    pytest.param('[ "$1" = web ] && exec gosu a "$0" "$@"\nexec "$@"', False, id="itself again"),
    pytest.param('exec "$@"', False, id="as it is"),
    pytest.param('# shift\nexec "$@"', False, id="comment"),
]


@pytest.mark.parametrize(("text", "expected"), CHOICES)
def test_chooses(text: str, *, expected: bool) -> None:
    """A word is a choice where the script runs something else for it."""
    assert chooses(text, "web") is expected
