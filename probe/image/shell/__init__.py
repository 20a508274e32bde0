"""What a shell script needs: its interpreter, the commands that it runs, the files it reads.

`read_script` takes the bytes of a script, `read_command` an argv. Pure: what lies in files comes
from the caller.
"""

from probe.image.shell.facts import Call
from probe.image.shell.facts import Load
from probe.image.shell.facts import Redirection
from probe.image.shell.facts import ScriptError
from probe.image.shell.facts import ScriptFacts
from probe.image.shell.facts import Shebang
from probe.image.shell.facts import Sourced
from probe.image.shell.facts import Unknown
from probe.image.shell.facts import Unread
from probe.image.shell.facts import parse_shebang
from probe.image.shell.reader import MAX_BYTES
from probe.image.shell.reader import read_command
from probe.image.shell.reader import read_script
from probe.image.shell.tables import BUILTINS
from probe.image.shell.tables import KEYWORDS
from probe.image.shell.tables import SHELLS
from probe.image.shell.tables import Dialect

__all__ = [
    "BUILTINS",
    "KEYWORDS",
    "MAX_BYTES",
    "SHELLS",
    "Call",
    "Dialect",
    "Load",
    "Redirection",
    "ScriptError",
    "ScriptFacts",
    "Shebang",
    "Sourced",
    "Unknown",
    "Unread",
    "parse_shebang",
    "read_command",
    "read_script",
]
