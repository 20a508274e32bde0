"""What a script makes of its arguments before it runs them: `set -- node "$@"`, `shift`, `case`.

Read from its text by patterns, which is enough for the one question that is asked: whether the
first argument is for certain the program of `exec "$@"`. Official images' entrypoints put a program
before options (https://github.com/docker-library/official-images#consistency); others choose among
words of their own.
"""

import re

_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
# A first word that stands in the script as it is, with the script's own arguments behind it.
_SET = re.compile(r"""\bset\s+--\s+["']?([\w./+-]+)["']?\s[^\n;&|]*\$[@{]""")
_SHIFT = re.compile(r"\bshift\b")
_OTHERWISE = re.compile(r"\*\)\s*exec\s")
_EXEC_OF_OTHER = re.compile(r"""(?m)\bexec\s+(?!["']?\$)(?![^\n]*\$[@{])""")


def put_before(text: str) -> tuple[str, ...]:
    """Return the programs that a script puts before its arguments, each once."""
    return tuple(dict.fromkeys(_SET.findall(_COMMENT.sub("", text))))


def chooses(text: str, word: str) -> bool:
    """Tell whether a script may take *word*, its first argument, for a choice and not a program."""
    text = _COMMENT.sub("", text)
    if _SHIFT.search(text):
        return True
    quoted = rf"""["']?{re.escape(word)}["']?"""
    is_pattern = re.search(rf"(?:\(|\||\s|^){quoted}\s*[)|]", text)
    is_compared = re.search(rf"=\s*{quoted}\s", text)
    if is_pattern and _OTHERWISE.search(text):
        return True
    return bool((is_pattern or is_compared) and _EXEC_OF_OTHER.search(text))
