"""What a shell script calls, by a table of forms: one line says what is expected of a script."""

import pytest

from probe.image.shell import Dialect
from probe.image.shell import read_script
from tests.image.shell.notation import parts
from tests.image.shell.notation import shown

# id, script, expected words; the shell is bash.
FORMS = [
    ("nothing", "", ""),
    ("comment", "# rm -rf /\n", ""),
    ("plain", "ls -l /tmp", "ls"),
    ("path", "/usr/bin/tr a b", "/usr/bin/tr"),
    ("quoted name", "'t'\"r\" a b; \\ls; l's'", "tr ls"),
    ("joined lines", "tou\\\nch x; cut \\\n -d: x", "touch cut"),
    ("builtins", "echo a; printf b; cd /; [ a ]; test b; [[ c ]]; : ; true; let a=1", ""),
    ("keywords", "if true; then :; elif false; then :; else :; fi; ! true; time true", ""),
    ("pipe", "a | b |& c", "a b c"),
    ("lists", "a && b || c; d & e", "a b c d e"),
    ("groups", "{ a; }; ( b; (c) )", "a b c"),
    ("loops", "for i in $(a); do b; done; while c; do d; done; until e; do f; done", "a b c d e f"),
    ("loop without in", "for i do\n a $i\ndone; for j; do b; done", "a b"),
    ("select", "select x in a b; do c; done", "c"),
    ("arithmetic for", "for ((i = 0; i < $(a); i++)); do b; done", "a b"),
    ("case", "case $(a) in b | $(c)) d ;; (e) f ;& *) g ;; esac", "a c d f g"),
    ("case, quoted patterns", "case $x in\n?*' '?*) a ;;\n*) b ;;\nesac; c", "a b c"),
    ("substitution", 'x=$(a `b`) y="$(c "$(d)")" z=${q:-$(e)}', "a b c d e"),
    ("nested backquotes", "x=`a \\`b\\``", "a b"),
    ("backquotes in a default", ": ${U=${L-`whoami`}}", "whoami"),
    ("process substitution", "while read -r x; do :; done < <(a); b <(c) > >(d)", "a b c d"),
    ("assignment before", "A=1 B=$(a) cmd", "a cmd"),
    ("assignment only", "A=ls; B=(cat tac)", ""),
    ("empty assignment, newline", "a=\nif b; then c; fi", "b c"),
    ("declarations", "export A=$(a); local b=`b`; declare -r c=$(c); readonly d", "a b c"),
    ("arithmetic", "((x = $(a))); y=$((1 + $(b)))", "a b"),
    ("here-document", "cat <<E\n$(a) `b` ${x:-$(c)} \\`d\\`\nE", "cat a b c"),
    ("quoted here-document", "cat <<'E'\n$(a) `b`\nE", "cat"),
    ("here-document in a pipe", "cat <<E | grep x\ntext\nE\nb", "cat grep b"),
    ("here-string", 'tr a b <<< "$(a)"', "tr a"),
    ("redirection first", ">out cmd; <in 2>&1 cmd2", "cmd cmd2"),
    ("both ways", "exec 3<>/dev/tcp/127.0.0.1/80; exec {fd}<>x; a 0<>y", "a"),
    ("extglob", "[[ $x == @(a|b)?(c) && $y == $z?(-$z) ]] && a", "a"),
    ("functions", "f() { a; }; function g { b; }; f; g; h() ( c ); h | f", "a b c"),
    ("function later", "f; f() { a; }", "a"),
    ("function of a command's name", "ls() { command ls; }; ls", "command>ls"),
    ("coproc", "coproc a b", "a"),
    ("coproc group", "coproc { a; b; }", "a b"),
    ("coproc named", "coproc W { a | b; }; c", "a b c"),
    ("coproc subshell, loop", "coproc X ( a ); coproc Y while b; do c; done", "a b c"),
    ("coproc of a function", "w() { a; }\ncoproc W { w; }", "a"),
    # builtins that run
    ("exec", "exec a b", "exec>a"),
    ("exec with options", "exec -c -a name a", "exec>a"),
    ("exec runs no builtin, no function", "f() { :; }; exec f; exec echo x", "exec>f exec>echo"),
    ("exec of redirections", "exec 2>&1 >log", ""),
    ("command", "command a; command -p b; command echo", "command>a command>b"),
    ("builtin", "builtin echo a; builtin a", ""),
    ("eval", "eval 'a | b'; eval c d; eval \"e $x; f\"", "eval>a eval>b eval>c eval>e eval>f"),
    ("eval unknown", 'eval "$x"; eval "$y z"', "eval><$x> eval><$y>"),
    ("eval of a constant", "x='a; b'; eval \"$x\"", "eval>a eval>b"),
    ("trap", "trap 'rm -f x; b' EXIT; trap - INT; trap '' TERM; trap", "trap>rm trap>b"),
    ("trap, quoted", 'trap "kill $p; wait; rm $x" 0', "trap>rm"),
    ("time", "time -p a; time b | c", "time>a time>b c"),
    ("alias", "alias l='ls -l'", "alias>ls"),
    # wrappers
    ("env", "env a; env -i A=1 -u B b; env", "env env>a env>b"),
    ("env -S", "env -S 'A=1 a b'", "env env>a"),
    ("env runs no builtin", "env echo x", "env env>echo"),
    (
        "wrapper in wrapper",
        "sudo -u x env A=1 nice -n 5 a",
        "sudo sudo>env sudo>env>nice sudo>env>nice>a",
    ),
    ("timeout", "timeout -k 5 10 a; timeout --signal KILL 10 b", "timeout timeout>a timeout>b"),
    ("xargs", "a | xargs -0 -n 1 b; c | xargs", "a c xargs xargs>b xargs>echo"),
    (
        "nohup, setsid, stdbuf",
        "nohup a & setsid -w b; stdbuf -oL c",
        "nohup nohup>a setsid setsid>b stdbuf stdbuf>c",
    ),
    ("chroot", "chroot --userspec=a:b /new a", "chroot chroot><a>"),
    (
        "su-exec, gosu",
        "exec su-exec u a; exec gosu u:g b",
        "exec>su-exec exec>su-exec>a exec>gosu exec>gosu>b",
    ),
    (
        "tini, dumb-init",
        "tini -s -- a; dumb-init --rewrite 15:3 b",
        "tini tini>a dumb-init dumb-init>b",
    ),
    ("find", "find . -name x -exec a {} \\; -o -execdir b {} +", "find find>a find>b"),
    (
        "flock",
        "flock -w 5 /lock a; flock /lock -c 'b; c'; flock 9",
        "flock flock>a flock>sh>b flock>sh>c",
    ),
    (
        "start-stop-daemon",
        "start-stop-daemon --start --exec /usr/sbin/a -- -x",
        "start-stop-daemon start-stop-daemon>/usr/sbin/a",
    ),
    (
        "shell with a string",
        'sh -ec \'a "$1"\' _ x; bash -o pipefail -c "b | c"',
        "sh sh>a bash bash>b bash>c",
    ),
    (
        "the inner shell's own words",
        "f() { :; }; sh -c 'f; [[ a ]]; pushd x'",
        "sh sh>f sh>[[ sh>pushd",
    ),
    ("shell with an unknown string", 'sh -c "$x"; bash -c "$y a"', "sh sh><$x> bash bash><$y>"),
    ("su", "su - u -c 'a b'; su u", "su su>a"),
    ("sudo without a command", "sudo -v; sudo -u x", "sudo"),
    ("unknown option of a wrapper", "nice $opts a", "nice nice><$opts>"),
    ("own wrapper", 'run() { log "$@"; "$@"; }; run a b', "log run>a"),
    ("own wrapper with an operand", 'try() { n=$1; shift; "$@"; }; try 3 a', "try>a"),
    # variables
    ("constant", 'A=/usr/bin/a; $A x; "$A"; ${A} y', "/usr/bin/a"),
    ("constant of several words", "A='nice -n 5 a'; $A", "nice nice>a"),
    ("array", 'A=(env X=1 a); A+=(b); "${A[@]}"', "env env>a"),
    ("array in a wrapper", 'A=(a b); exec "${A[@]}"', "exec>a"),
    ("part of a path", 'D=/opt; $D/bin/a; "$D/b"', "/opt/bin/a /opt/b"),
    ("one of several", "A=a; if x; then A=b; fi; $A", "x ?a ?b"),
    ("maybe a wrapper", "S=; if x; then S=sudo; fi; $S a", "x ?sudo ?sudo>a ?a"),
    ("not set at first", "A=; A=a; $A start", "a"),
    ("loop over names", "for c in a b; do $c; done", "a b"),
    ("default", "${E:-vi} x; : ${P:=less}", "vi"),
    ("grown", 'A=a; A="$A -x"; $A', "a"),
    ("of the environment", '$A x; "$1"; "$@"; ${!B}', "<$A> <$1> <$@> <${!B}>"),
    ("read", "read -r A; $A", "<$A>"),
    ("output", "A=$(a); $A; $(b) c; `d`", "a b d <$(a)> <$(b)> <`d`>"),
    ("pattern, home", "/etc/*.sh x; ~/a", "</etc/*.sh> <~/a>"),
    ("cut path", "case $1 in\n*/*) p=$PWD/$1\n;;\nesac\n", ""),
    # guards
    ("command -v &&", "command -v a >/dev/null 2>&1 && a", "?a"),
    ("if command -v", "if command -v a >/dev/null; then a; b; else a; fi", "?a a b"),
    ("type, hash, which", "type a && a; hash b 2>/dev/null && b; which c && c", "?a ?b which ?c"),
    (
        "test -x",
        "[ -x /bin/a ] && /bin/a; [[ -x /bin/b ]] && b; test -f /c && /c",
        "?/bin/a ?b ?/c",
    ),
    ("or leave", "command -v a || exit 0\na", "?a"),
    ("or leave, in a group", "[ -x /bin/a ] || { echo no; exit 1; }; /bin/a", "?/bin/a"),
    ("or die", 'die() { echo "$1"; exit 1; }; type a || die no; a', "?a"),
    ("if not, leave", "if ! command -v a; then exit; fi; a", "?a"),
    ("not or", "! command -v a || a", "?a"),
    ("elif", "if type a; then a; elif type b; then b; else c; fi", "?a ?b c"),
    ("one of two is no guard", "if type a || type b; then a; fi", "a"),
    ("two", "if type a && [ -x /b ]; then a; /b; fi", "?a ?/b"),
    ("another one", "command -v a && b", "b"),
    ("only behind it", "a; command -v a && a", "a ?a"),
    ("of a subshell only", "(command -v a || exit; a); a", "?a a"),
    ("function that asks", 'have() { command -v "$1" >/dev/null; }; have a && a', "?a"),
    ("answer in a variable", 'A=$(command -v a); [ -n "$A" ] && $A x; $A y', "?a a"),
    ("answer or leave", "A=$(which a) || exit; $A", "which ?a"),
    ("unknown, asked for", '[ -x "$A" ] && "$A"', "?<$A>"),
    ("wrapped", "command -v a && exec a; type b && sudo b", "?exec>a sudo ?sudo>b"),
    ("while", "while type a; do a; done", "?a"),
    ("or true", "a || true; b || :; c || d", "~a ~b c d"),
    ("asks nothing", '[ -d /a ] && a; [ -n "$a" ] && b; command -v', "a b"),
]


@pytest.mark.parametrize(
    ("script", "expected"), [pytest.param(s, e, id=name) for name, s, e in FORMS]
)
def test_forms(script: str, expected: str) -> None:
    facts = read_script(script.encode(), dialect=Dialect.BASH)
    assert (shown(facts), facts.unread) == (sorted(parts(expected)), ())


@pytest.mark.parametrize(
    ("script", "dialect", "expected"),
    [
        pytest.param("[[ a ]]", Dialect.DASH, "[[", id="dash has no [["),
        pytest.param("[[ a ]]", Dialect.ASH, "", id="ash has"),
        pytest.param("source x", Dialect.DASH, "source", id="dash has no source"),
        pytest.param("source x", Dialect.ASH, "", id="ash has one"),
        pytest.param("declare a=b", Dialect.DASH, "declare", id="dash has no declare"),
        pytest.param("local a; export b; readonly c", Dialect.DASH, "", id="dash has local"),
        pytest.param("let a=1; pushd x", Dialect.DASH, "let pushd", id="dash has no let"),
        pytest.param("time a", Dialect.DASH, "time time>a", id="time is a command in dash"),
        pytest.param("coproc a", Dialect.DASH, "coproc", id="coproc is one as well"),
        pytest.param("shopt -s x; mapfile y; help", Dialect.ASH, "shopt mapfile", id="ash"),
    ],
)
def test_each_shell_has_words_of_its_own(script: str, dialect: Dialect, expected: str) -> None:
    assert shown(read_script(script.encode(), dialect=dialect)) == sorted(expected.split())
