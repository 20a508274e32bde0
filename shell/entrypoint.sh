#!/bin/bash -p
# Run split-sync or split-proxy with the flags that the environment names; PID 1 becomes it.
# Needs bash 4.3 or newer, functions.sh beside it, and nothing else: no other command, no PATH, no
# /dev, /proc or /tmp. README.md says what each variable does.
#
# usage: entrypoint.sh [--print] [ARGUMENT...]
#    ie: SPLIT_SYNC_APIKEY_FILE=/run/secrets/key entrypoint.sh -log-level=debug
# Exit 2 when a setting is refused, 126 or 127 when the application cannot be run or is not there;
# else the exit is the application's.

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 403)) || {
  echo 'entrypoint.sh: bash too old, 4.3 is needed' >&2
  exit 2
}
set -f +o posix
shopt -s globasciiranges # [0-9] is ten characters, whatever the locale; bash 5 has it so
FUNCNEST=''

# A global variable of ours would take the place of the application's of that name: there is one,
# and what runs the application stands outside every function.
load() {
  local folder=${BASH_SOURCE[0]%"${BASH_SOURCE[0]##*/}"}
  # shellcheck source=shell/functions.sh
  . "${folder:-./}functions.sh"
}
load || {
  echo 'entrypoint.sh: cannot read functions.sh, which must stand beside it' >&2
  exit 2
}
prepare "$@"
exec -- "${entrypoint_command[@]}"
