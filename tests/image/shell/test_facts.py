"""The `#!` line: what the kernel makes of it, and whose language it names."""

import pytest

from probe.image.shell import Dialect
from probe.image.shell import Shebang
from probe.image.shell import parse_shebang
from probe.image.shell import read_script

SHEBANGS = [
    (b"#!/bin/bash -p\n", Shebang("/bin/bash", "-p"), ("/bin/bash", "-p"), Dialect.BASH),
    (b"#! \t/bin/sh \n", Shebang("/bin/sh"), ("/bin/sh",), Dialect.DASH),
    (b"#!/bin/sh -e -u\n", Shebang("/bin/sh", "-e -u"), ("/bin/sh", "-e -u"), Dialect.DASH),
    (b"#!/usr/bin/env bash\n", Shebang("/usr/bin/env", "bash"), ("bash",), Dialect.BASH),
    (b"#!/usr/bin/env bash -p\n", Shebang("/usr/bin/env", "bash -p"), ("bash -p",), None),
    (
        b"#!/usr/bin/env -S A=1 bash -p\n",
        Shebang("/usr/bin/env", "-S A=1 bash -p"),
        ("bash", "-p"),
        Dialect.BASH,
    ),
    (b"#!/bin/busybox sh\n", Shebang("/bin/busybox", "sh"), ("/bin/busybox", "sh"), Dialect.ASH),
    (b"#!/bin/sh\r\n", Shebang("/bin/sh\r"), ("/bin/sh\r",), None),
    (b"#!/usr/bin/python3\n", Shebang("/usr/bin/python3"), ("/usr/bin/python3",), None),
    (b"#!/bin/sh", Shebang("/bin/sh"), ("/bin/sh",), Dialect.DASH),
]


@pytest.mark.parametrize(("data", "shebang", "command", "dialect"), SHEBANGS)
def test_shebang(
    data: bytes, shebang: Shebang, command: tuple[str, ...], dialect: Dialect | None
) -> None:
    """The kernel passes the rest as one argument; env alone splits it, and only with -S."""
    assert parse_shebang(data) == shebang
    assert (shebang.command, shebang.dialect) == (command, dialect)


def test_without_shebang() -> None:
    """The shells and execvp take such a file for sh; another language is not read at all."""
    assert parse_shebang(b"ls\n") is None
    assert read_script(b"ls\n").dialect is Dialect.DASH
    assert read_script(b"#!/usr/bin/perl\nls;\n").calls == ()
