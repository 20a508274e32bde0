"""A root directory as a tree."""

import errno
import os
import stat

from probe.image.archives.limits import MAX_DEPTH
from probe.image.archives.limits import Budget
from probe.image.archives.spans import DIRECTORY_FLAGS
from probe.image.archives.spans import Beneath
from probe.image.archives.spans import Content
from probe.image.archives.spans import why
from probe.image.view import MAX_PATH
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import Tree
from probe.image.view import join
from probe.image.view import parent_of


def stat_entry(path: str, found: os.stat_result, target: str | None) -> Entry:
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
    form = stat.S_IFMT(found.st_mode)
    kind = kinds.get(form, Kind.OTHER)
    size = found.st_size if kind is Kind.FILE else 0
    device = form in {stat.S_IFBLK, stat.S_IFCHR}
    mode = stat.S_IMODE(found.st_mode)
    return Entry(path, kind, mode, found.st_uid, found.st_gid, size, target, device)


class Scan:
    """Lists a root directory; other file systems mounted in it, such as /proc, stay closed."""

    def __init__(self, root: int, tree: Tree[Content], budget: Budget) -> None:
        self._root = root
        self._device = os.fstat(root).st_dev
        self._tree = tree
        self._budget = budget
        self._pending = ["/"]
        # The directories from the root to the one last listed, each opened from the one before.
        self._chain: list[tuple[str, int]] = []

    def run(self) -> None:
        self._tree.put(stat_entry("/", os.fstat(self._root), None))
        try:
            while self._pending:
                self._visit(self._pending.pop())
        finally:
            self._leave("")

    def _visit(self, path: str) -> None:
        try:
            self._list(path, self._enter(path))
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise
            self._tree.fault(path, f"cannot be listed: {why(error)}")

    def _enter(self, path: str) -> int:
        if path == "/":
            fd = os.dup(self._root)
        else:
            self._leave(parent_of(path))
            fd = os.open(path.rpartition("/")[2], DIRECTORY_FLAGS, dir_fd=self._chain[-1][1])
        self._chain.append((path, fd))
        return fd

    def _leave(self, parent: str) -> None:
        """Close what was opened below *parent*; everything where it is empty."""
        while self._chain and self._chain[-1][0] != parent:
            os.close(self._chain.pop()[1])

    def _list(self, path: str, fd: int) -> None:
        with os.scandir(fd) as names:
            for name in names:
                child = join(path, name.name)
                try:
                    self._add(child, name, fd)
                except OSError as error:
                    self._tree.fault(child, f"cannot be read: {why(error)}")

    def _add(self, path: str, name: "os.DirEntry[str]", fd: int) -> None:
        self._budget.entry(len(path))
        if len(path) > MAX_PATH:
            self._tree.fault(path, "its path is too long: not looked at")
            return
        found = name.stat(follow_symlinks=False)
        target = os.readlink(name.name, dir_fd=fd) if name.is_symlink() else None
        entry = stat_entry(path, found, target)
        self._tree.put(entry, Beneath(self._root, path) if entry.kind is Kind.FILE else None)
        if entry.kind is Kind.FILE and not os.access(
            name.name, os.R_OK, dir_fd=fd, effective_ids=True
        ):
            self._tree.fault(path, "cannot be read: permission denied")
        if entry.kind is not Kind.DIRECTORY:
            return
        if found.st_dev != self._device:
            self._tree.fault(path, "another file system is mounted here: not looked into")
        elif len(self._chain) >= MAX_DEPTH:
            self._tree.fault(path, "too deep: not looked into")
        else:
            self._pending.append(path)
