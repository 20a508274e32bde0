#!/bin/bash -p
# healthcheck 0.1.0
#
# Ask one HTTP endpoint for its status line; exit 0 when healthy, 1 when not, never anything else.
# Needs bash 4.3 or newer and nothing else: no other command, no PATH, no /dev, /proc or /tmp.
# README.md beside this file says how to call it and how it works; each odd line has a test.
#
# One child, the worker, does what may block: connect, ask, read, print. The main shell waits for
# the end of its pipe until the deadline, kills it where it is late, and leaves with its verdict.
# bash reads a script as it runs it: what only an unhealthy end needs stands last.

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 403)) || {
  echo 'unhealthy: bash too old'
  exit 1
}
LC_ALL=C IFS='' FUNCNEST='' log=${HEALTHCHECK_LOG-} heard='' signalled='' started='' unknown='' wanted=''
code='[1-9][0-9][0-9]'
set -f +o posix
shopt -s lastpipe
{ exec {out}>&1; } 2>&-
# No simple command may run in this trap before the worker is awaited: bash, signalled while it forks,
# would then wait for the worker without a deadline.
trap '[[ $signalled || ! $started ]] || kill -KILL %1 2>&-; ((signalled = 1))' HUP INT QUIT USR1 USR2 ALRM TERM
trap 'trap - EXIT; echo unhealthy: internal; exit 1' EXIT
trap '' PIPE

# usage: finish STATUS
finish() {
  trap - EXIT
  exit "$1"
}

# usage: say REASON
#    ie: say 'status 500'
# Prints the line where stdout was; then a dot for the main shell; then to the container's log.
say() {
  local line="unhealthy: $1"
  case $1 in
    [1-9]*) line="healthy: $1" log='' ;;
    refused) line+=' (nothing listens there, or not yet)' ;;
    tls) line+=' (only probe check speaks TLS)' ;;
  esac
  printf '%s\n' "$line" >&"$out"
  printf .
  [[ $log != 1 ]] || printf 'healthcheck: %s\n' "$line" >>/proc/1/fd/1
}

# usage: accepts CODE
# Status 0 when --expect has it, 1 when not, 2 when --expect is no list of codes and ranges.
accepts() {
  local IFS=, range status=1
  [[ ,$expect, != *,,* ]] || return 2
  for range in $expect; do
    [[ $range == $code?(-$code) && ${range%-*} -le ${range#*-} ]] || return 2
    [[ $1 -lt ${range%-*} || $1 -gt ${range#*-} ]] || status=0
  done
  return "$status"
}

# Reads the status line on stdin (RFC 9112, 4) and sets $reason. -d '' makes a NUL end the read: bash
# drops it silently otherwise. Without -t a byte costs one system call, not four.
read_status_line() {
  local start="HTTP/1.[01] $code" line rest
  reason=closed
  read -rd '' -n 13 line || return
  # shellcheck disable=SC2254 # they are patterns
  case $line in
    $start$'\n') ;;
    $start\ )
      read -rn 512 rest || return
      ((${#rest} < 512))
      ;;
    $start$'\r')
      read -rd '' -n 1 rest || return
      [[ $rest == $'\n' ]]
      ;;
    *) false ;;
  esac || {
    reason=malformed
    return
  }
  reason=${line:9:3}
  accepts "$reason" || reason="status $reason"
}

# The worker. Where it cannot connect, bash's own message goes down the pipe and the main shell
# reads it. The request leaves in one write: printf hands over whole what follows the first byte. A
# failed write is ignored: what the peer sent decides.
ask() {
  local name=$host reason
  { exec <>"/dev/tcp/$host/$port"; } 2>&1 || exit
  [[ $host != *:* ]] || name="[$host]"
  printf 'GET %s' "$path HTTP/1.1"$'\r\nHost: '"$name:$port"$'\r\nConnection: close\r\n\r\n' >&0
  read_status_line
  printf %s "$reason"
  say "$reason"
}

# The environment: our own variables first, then the synchronizer's, then the default. A port like
# tcp://10.0.0.1:3010 is a Kubernetes service link.
host=${SPLIT_SYNC_ADMIN_HOST-${SPLIT_PROXY_ADMIN_HOST-}}
case $host in
  '' | 0.0.0.0 | '[::]') host=127.0.0.1 ;;
  '[::1]') host=::1 ;;
esac
host=${HEALTHCHECK_HOST:-$host}
for port in "${HEALTHCHECK_PORT-}" "${SPLIT_SYNC_ADMIN_PORT-}" "${SPLIT_PROXY_ADMIN_PORT-}" 3010; do
  [[ ! $port || $port == @(tcp|udp|sctp)://* ]] || break
done
path=${HEALTHCHECK_PATH:-/health/application}
timeout=${HEALTHCHECK_TIMEOUT:-3}
expect=${HEALTHCHECK_EXPECT:-200}
[[ ${SPLIT_SYNC_ADMIN_TLS_ENABLED:-${SPLIT_PROXY_ADMIN_TLS_ENABLED-}} == @(1|t|T|true|TRUE|True) ]]
tls=${HEALTHCHECK_TLS:-$((! $?))}

# The options: the last one wins. An input without a value has the empty one, which is not valid.
for option; do
  if [[ $wanted ]]; then
    printf -v "$wanted" %s "$option"
    wanted=''
  elif [[ $option == --@(host|port|path|timeout|expect)?(=*) ]]; then
    wanted=${option%%=*} wanted=${wanted#--}
    printf -v "$wanted" %s "${option:${#wanted}+3}"
    [[ $option != *=* ]] || wanted=''
  else
    case $option in
      --tls) tls=1 ;;
      --no-tls) tls=0 ;;
      --log) log=1 ;;
      --version) echo healthcheck 0.1.0 && finish 0 ;;
      --help)
        echo "usage: healthcheck.sh [--host H] [--port N] [--path P] [--timeout S] [--expect CODES] [--tls|--no-tls] [--log]"
        finish 0
        ;;
      *) unknown=${unknown:-$option.} ;;
    esac
  fi
done

option=${unknown%.}
seconds=${timeout%s}
# The first of these that fails leaves its name in $fault.
fault=host && [[ $host && $host != *[!0-9A-Za-z.:_-]* && ${#host} -le 253 ]] \
  && fault=port && [[ $port == [1-9]* && $port != *[!0-9]* && ${#port} -le 5 && $port -le 65535 ]] \
  && fault=path && [[ $path == /* && $path != *[!!-~]* && ${#path} -le 2000 ]] \
  && fault=timeout && [[ $timeout == [0-9]* && $timeout != *[!0-9.s]* && ${#timeout} -le 7 ]] \
  && [[ $seconds == *[1-9]* && $seconds != *@(s|.*.)* ]] \
  && fault=expect && { accepts 0 || (($? == 1)); } \
  && fault=tls && [[ $tls == [01] ]] \
  && fault=option && [[ ! $unknown ]] \
  && fault=''

# status 1: the worker has ended; above 128: the deadline has passed.
[[ $fault || $tls == 1 ]] || {
  ask | {
    started=1
    [[ ! $signalled ]] || kill -KILL %1
    read -rN 9999 -t "$seconds" heard
    status=$?
    ((status == 1)) || kill -KILL %1
  }
} 2>&-
message=${heard##*"/dev/tcp/$host/$port: "}
# A word, and a dot behind it once the line is out; a signal in between has killed the worker.
[[ $message != "$heard" || ! $heard || $signalled && $heard != *. ]] || finish $((${#heard} > 4)) # 200. or longer

# The worker has said nothing. A child says it here too, for stdout and the log may block: it has a
# second for the one, then 0.1 s for the other.
if [[ $fault ]]; then
  value=${!fault}
  value=${value:0:40}
  reason="usage: $fault '${value//[!!-~]/?}'"
elif [[ $tls == 1 ]]; then
  reason=tls
elif [[ $signalled ]]; then
  reason=signal
elif ((status > 128)); then
  reason=timeout
else
  case $message in
    '') reason=internal ;; # the worker did not live to say anything
    *refused*) reason=refused ;;
    *unreachable* | *'No route'*) reason=unreachable ;;
    'No such file'*) reason='no /dev/tcp' ;;
    *) reason=connect ;;
  esac
  [[ $message != Invalid* || $heard == *': connect: Invalid'* ]] || reason=unresolved
fi
signalled=1
{
  say "$reason" | {
    read -rn 1 -t 1 && read -rn 1 -t 0.1
    (($? == 1)) || kill -KILL %1
  }
} 2>&-
finish 1
