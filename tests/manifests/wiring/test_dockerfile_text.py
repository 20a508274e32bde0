"""Dockerfiles as instructions: continuations, comments, here-documents, the escape directive."""

import pytest

from probe.manifests.wiring.dockerfile_text import healthcheck
from probe.manifests.wiring.dockerfile_text import scan
from probe.manifests.wiring.dockerfile_text import set_healthcheck
from probe.manifests.wiring.dockerfile_text import stages
from probe.manifests.wiring.errors import WireError
from probe.manifests.wiring.splice import apply

NEW = 'HEALTHCHECK CMD ["/x"]'

SCANNED = [
    pytest.param("FROM a\nRUN x\n", [("FROM", "a"), ("RUN", "x")], id="plain"),
    pytest.param("from a\n  run x\n", [("FROM", "a"), ("RUN", "x")], id="lower-case-indented"),
    pytest.param("FROM a\nRUN x \\\n  # why\n\n  y\nCMD z\n",
                 [("FROM", "a"), ("RUN", "x   y"), ("CMD", "z")], id="comment-within"),
    pytest.param("# escape=`\nFROM a\nRUN x `\n y\\\nCMD z\n",
                 [("FROM", "a"), ("RUN", "x  y\\"), ("CMD", "z")], id="escape"),
    pytest.param("FROM a\nRUN <<A cat <<-'B'\nFROM b\nA\n\tFROM c\n\tB\nCMD z\n",
                 [("FROM", "a"), ("RUN", "<<A cat <<-'B'"), ("CMD", "z")], id="here-documents"),
    pytest.param("FROM a\r\nRUN x \\\r\n y\r\n", [("FROM", "a"), ("RUN", "x  y")], id="crlf"),
    pytest.param("\ufeffFROM a", [("FROM", "a")], id="bom-no-final-newline"),
    pytest.param("FROM a\nWORKDIR C:\\\\\nRUN y\n",
                 [("FROM", "a"), ("WORKDIR", "C:\\\\"), ("RUN", "y")], id="escaped-escape"),
    pytest.param("FROM a\n# escape=`\nRUN x `\nCMD z\n",
                 [("FROM", "a"), ("RUN", "x `"), ("CMD", "z")], id="directive-too-late"),
    pytest.param("# x=y\n# escape=`\nFROM a\nRUN x `\n",
                 [("FROM", "a"), ("RUN", "x `")], id="directive-behind-comment"),
    pytest.param("FROM a\nRUN x=$((1<<N)) y <<< z\nCMD z\n",
                 [("FROM", "a"), ("RUN", "x=$((1<<N)) y <<< z"), ("CMD", "z")], id="shift"),
    pytest.param("FROM a\nRUN echo 'a <<E' \"<<E\"\nCMD z\n",
                 [("FROM", "a"), ("RUN", "echo 'a <<E' \"<<E\""), ("CMD", "z")], id="quoted"),
    pytest.param('FROM a\nRUN ["cat", "<<E"]\nCMD z\n',
                 [("FROM", "a"), ("RUN", '["cat", "<<E"]'), ("CMD", "z")], id="exec-form"),
    pytest.param("FROM a\nRUN echo don't <<E\nCMD z\n",
                 [("FROM", "a"), ("RUN", "echo don't <<E"), ("CMD", "z")], id="open-quote"),
    pytest.param("FROM a\nONBUILD RUN <<E\nCMD x\nE\nCMD z\n",
                 [("FROM", "a"), ("ONBUILD", "RUN <<E"), ("CMD", "z")], id="onbuild-here"),
    pytest.param('FROM a\nCOPY <<a.txt <<"b c" <<\\D /\n1\na.txt\n2\nb c\n3\nD\nCMD z\n',
                 [("FROM", "a"), ("COPY", '<<a.txt <<"b c" <<\\D /'), ("CMD", "z")],
                 id="names-of-here-documents"),
    pytest.param("FROM a\r\nRUN <<E\r\nCMD x\r\nE\r\nCMD z\r\n",
                 [("FROM", "a"), ("RUN", "<<E"), ("CMD", "z")], id="here-document-crlf"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SCANNED)
def test_scan(text: str, expected: list[tuple[str, str]]) -> None:
    """Each instruction comes once, whatever lines it spans."""
    assert [(item.name, item.body) for item in scan(text)] == expected


SET = [
    pytest.param("FROM a AS b\nCMD x\nFROM c\nCMD y # z\n",
                 f"FROM a AS b\nCMD x\nFROM c\nCMD y # z\n{NEW}\n", id="final-stage"),
    pytest.param("FROM a\nCMD y", f"FROM a\nCMD y\n{NEW}", id="no-final-newline"),
    pytest.param("FROM a\r\nCMD y\r\n", f"FROM a\r\nCMD y\r\n{NEW}\r\n", id="crlf"),
    pytest.param("FROM a\nHEALTHCHECK NONE\n# c\nHEALTHCHECK --interval=1s \\\n  # d\n"
                 "  CMD curl x\nCMD y\n",
                 f"FROM a\nHEALTHCHECK NONE\n# c\n{NEW}\nCMD y\n", id="the-last-counts"),
    pytest.param("FROM a\nONBUILD HEALTHCHECK NONE\n",
                 f"FROM a\nONBUILD HEALTHCHECK NONE\n{NEW}\n", id="onbuild"),
    pytest.param("FROM a\nCOPY <<E /x\nHEALTHCHECK NONE\nE\n# end\n",
                 f"FROM a\nCOPY <<E /x\nHEALTHCHECK NONE\nE\n\n{NEW}\n# end\n", id="here-document"),
    pytest.param("# c\nHEALTHCHECK NONE\n", f"# c\n{NEW}\n", id="fragment"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SET)
def test_set(text: str, expected: str) -> None:
    """The check of the final stage is replaced, or comes last; a second time changes nothing."""
    once = apply(text, [set_healthcheck(text, stages(scan(text))[-1], NEW)])
    assert once == expected
    assert apply(once, [set_healthcheck(once, stages(scan(once))[-1], NEW)]) == expected


@pytest.mark.parametrize("text", ["FROM a\nCMD x \\\n", "FROM a\nCMD x \\\n\n# c\n"])
def test_behind_an_open_continuation(text: str) -> None:
    """What would become part of the last instruction is not written."""
    with pytest.raises(WireError, match="does not end") as error:
        set_healthcheck(text, stages(scan(text))[-1], NEW)
    assert error.value.line == 2


def test_open_continuation_elsewhere() -> None:
    """A HEALTHCHECK that stands is replaced whatever comes last."""
    text = "FROM a\nHEALTHCHECK NONE\nCMD x \\\n"
    after = apply(text, [set_healthcheck(text, stages(scan(text))[-1], NEW)])
    assert after == f"FROM a\n{NEW}\nCMD x \\\n"


@pytest.mark.parametrize(
    ("body", "form", "words", "script"),
    [
        ('--interval=5s CMD ["/x", "a b"]', "exec", ("/x", "a b"), ""),
        ("CMD curl -f x || exit 1", "shell", (), "curl -f x || exit 1"),
        ('CMD ["/x", 1]', "shell", (), '["/x", 1]'),
        ('CMD\t["/x"]', "exec", ("/x",), ""),
        ("NONE", "none", (), ""),
    ],
)
def test_healthcheck(body: str, form: str, words: tuple[str, ...], script: str) -> None:
    """A JSON array of strings is the exec form; all else goes to a shell."""
    found = healthcheck(scan(f"FROM a\nHEALTHCHECK {body}")[1])
    assert (found.form, found.words, found.script) == (form, words, script)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "empty"),
        ("# only\n", 1, "empty"),
        ("FROM a\n<<<<<<< HEAD\n", 2, "no Dockerfile instruction"),
        ("FROM a\nRUN <<E\nx\n", 2, "here-document E has no end"),
        ("RUN x\nFROM a\n", 1, "RUN before the first FROM"),
        ("RUN x\n", 1, "no FROM"),
        ("# escape=x\nFROM a\n", 1, "escape directive"),
        ("FROM a\nHEALTHCHECK curl\n", 2, "neither CMD nor NONE"),
    ],
)
def test_refused(text: str, line: int, message: str) -> None:
    """What BuildKit would refuse is refused, with its line."""
    with pytest.raises(WireError, match=message) as error:
        healthcheck(next(i for i in stages(scan(text))[-1].instructions if i.name == "HEALTHCHECK"))
    assert error.value.line == line
