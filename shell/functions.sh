# The environment of split-sync and split-proxy as flags. Sourced by entrypoint.sh.
#
# A function that answers with more than its status sets the variable that its comment names; its
# caller has declared it. None is global but entrypoint_command: the application's environment is
# to reach it as it came, whatever its variables are called.

# usage: say TEXT
say() {
  printf 'entrypoint.sh: %s\n' "$1" >&2
}

# usage: refuse TEXT
# One more fault. All are told before the end, not the first alone.
refuse() {
  say "$1"
  ((faults += 1))
}

# usage: quote VALUE
# Sets $quoted: the head of VALUE as it may stand in a line, the way the health check shows it.
quote() {
  local head=${1:0:40}
  quoted="'${head//[!!-~]/?}'"
}

# The settings of version 5.12.4.
# usage: flags_of KIND
# Sets $rows, each a flag, its variable without the prefix, its type; and $urls, the variables that
# the applications read themselves.
# generated: flags
flags_of() {
  urls=(SDK_URL EVENTS_URL AUTH_SERVICE_URL STREAMING_SERVICE_URL TELEMETRY_SERVICE_URL)
  case $1 in
    sync)
      rows=(
        'apikey APIKEY secret'
        'ip-address-enabled IP_ADDRESS_ENABLED bool'
        'flag-sets-filter FLAG_SETS_FILTER string'
        'timeout-ms TIMEOUT_MS int'
        'force-fresh-startup FORCE_FRESH_STARTUP bool'
        'storage-type STORAGE_TYPE string'
        'redis-host REDIS_HOST string'
        'redis-port REDIS_PORT port'
        'redis-db REDIS_DB int'
        'redis-user REDIS_USER string'
        'redis-pass REDIS_PASS secret'
        'redis-prefix REDIS_PREFIX string'
        'redis-network REDIS_NETWORK string'
        'redis-max-retries REDIS_MAX_RETRIES int'
        'redis-dial-timeout REDIS_DIAL_TIMEOUT int'
        'redis-read-timeout REDIS_READ_TIMEOUT int'
        'redis-write-timeout REDIS_WRITE_TIMEOUT int'
        'redis-pool REDIS_POOL int'
        'redis-sentinel-replication REDIS_SENTINEL_REPLICATION bool'
        'redis-sentinel-addresses REDIS_SENTINEL_ADDRESSES string'
        'redis-sentinel-master REDIS_SENTINEL_MASTER string'
        'redis-cluster-mode REDIS_CLUSTER_MODE bool'
        'redis-cluster-nodes REDIS_CLUSTER_NODES string'
        'redis-cluster-key-hashtag REDIS_CLUSTER_KEY_HASHTAG string'
        'redis-tls REDIS_TLS bool'
        'redis-tls-server-name REDIS_TLS_SERVER_NAME string'
        'redis-tls-ca-certs REDIS_TLS_CA_CERTS string'
        'redis-tls-skip-name-validation REDIS_TLS_SKIP_NAME_VALIDATION bool'
        'redis-tls-client-certificate REDIS_TLS_CLIENT_CERTIFICATE string'
        'redis-tls-client-key REDIS_TLS_CLIENT_KEY string'
        'split-refresh-rate-ms SPLIT_REFRESH_RATE_MS int'
        'segment-refresh-rate-ms SEGMENT_REFRESH_RATE_MS int'
        'impressions-mode IMPRESSIONS_MODE string'
        'streaming-enabled STREAMING_ENABLED bool'
        'http-timeout-ms HTTP_TIMEOUT_MS int'
        'internal-metrics-rate-ms INTERNAL_METRICS_RATE_MS int'
        'telemetry-push-rate-ms TELEMETRY_PUSH_RATE_MS int'
        'impressions-fetch-size IMPRESSIONS_FETCH_SIZE int'
        'impressions-process-concurrency IMPRESSIONS_PROCESS_CONCURRENCY int'
        'impressions-process-batch-size IMPRESSIONS_PROCESS_BATCH_SIZE int'
        'impressions-post-concurrency IMPRESSIONS_POST_CONCURRENCY int'
        'impressions-post-size IMPRESSIONS_POST_SIZE int'
        'impressions-accum-wait-ms IMPRESSIONS_ACCUM_WAIT_MS int'
        'events-fetch-size EVENTS_FETCH_SIZE int'
        'events-process-concurrency EVENTS_PROCESS_CONCURRENCY int'
        'events-process-batch-size EVENTS_PROCESS_BATCH_SIZE int'
        'events-post-concurrency EVENTS_POST_CONCURRENCY int'
        'events-post-size EVENTS_POST_SIZE int'
        'events-accum-wait-ms EVENTS_ACCUM_WAIT_MS int'
        'unique-keys-fetch-size UNIQUE_KEYS_FETCH_SIZE int'
        'unique-keys-process-concurrency UNIQUE_KEYS_PROCESS_CONCURRENCY int'
        'unique-keys-process-batch-size UNIQUE_KEYS_PROCESS_BATCH_SIZE int'
        'unique-keys-post-concurrency UNIQUE_KEYS_POST_CONCURRENCY int'
        'unique-keys-accum-wait-ms UNIQUE_KEYS_ACCUM_WAIT_MS int'
        'impressions-count-worker-read-rate-ms IMPRESSIONS_COUNT_WORKER_READ_RATE_MS int'
        'admin-host ADMIN_HOST string'
        'admin-port ADMIN_PORT port'
        'admin-username ADMIN_USERNAME string'
        'admin-password ADMIN_PASSWORD secret'
        'admin-secure-hc ADMIN_SECURE_HC bool'
        'admin-tls-enabled ADMIN_TLS_ENABLED bool'
        'admin-tls-client-validation ADMIN_TLS_CLIENT_VALIDATION bool'
        'admin-tls-server-name ADMIN_TLS_SERVER_NAME string'
        'admin-tls-cert-chain-fn ADMIN_TLS_CERT_CHAIN_FN string'
        'admin-tls-private-key-fn ADMIN_TLS_PRIVATE_KEY_FN string'
        'admin-tls-client-validation-root-cert ADMIN_TLS_CLIENT_VALIDATION_ROOT_CERT string'
        'admin-tls-min-tls-version ADMIN_TLS_MIN_TLS_VERSION string'
        'admin-tls-allowed-cipher-suites ADMIN_TLS_ALLOWED_CIPHER_SUITES string'
        'impression-listener-endpoint IMPRESSION_LISTENER_ENDPOINT string'
        'impression-listener-queue-size IMPRESSION_LISTENER_QUEUE_SIZE int'
        'slack-webhook SLACK_WEBHOOK secret'
        'slack-channel SLACK_CHANNEL string'
        'log-level LOG_LEVEL string'
        'log-output LOG_OUTPUT string'
        'log-rotation-max-files LOG_ROTATION_MAX_FILES int'
        'log-rotation-max-size-kb LOG_ROTATION_MAX_SIZE_KB int'
        'storage-check-rate-ms STORAGE_CHECK_RATE_MS int'
        'flag-spec-version FLAG_SPEC_VERSION string'
      )
      ;;
    proxy)
      rows=(
        'apikey APIKEY secret'
        'ip-address-enabled IP_ADDRESS_ENABLED bool'
        'flag-sets-filter FLAG_SETS_FILTER string'
        'flag-sets-strict-matching FLAG_SETS_STRICT_MATCHING bool'
        'timeout-ms TIMEOUT_MS int'
        'snapshot SNAPSHOT string'
        'force-fresh-startup FORCE_FRESH_STARTUP bool'
        'client-apikeys CLIENT_APIKEYS secret'
        'server-host SERVER_HOST string'
        'server-port SERVER_PORT port'
        'http-cache-size HTTP_CACHE_SIZE int'
        'server-tls-enabled SERVER_TLS_ENABLED bool'
        'server-tls-client-validation SERVER_TLS_CLIENT_VALIDATION bool'
        'server-tls-server-name SERVER_TLS_SERVER_NAME string'
        'server-tls-cert-chain-fn SERVER_TLS_CERT_CHAIN_FN string'
        'server-tls-private-key-fn SERVER_TLS_PRIVATE_KEY_FN string'
        'server-tls-client-validation-root-cert SERVER_TLS_CLIENT_VALIDATION_ROOT_CERT string'
        'server-tls-min-tls-version SERVER_TLS_MIN_TLS_VERSION string'
        'server-tls-allowed-cipher-suites SERVER_TLS_ALLOWED_CIPHER_SUITES string'
        'admin-host ADMIN_HOST string'
        'admin-port ADMIN_PORT port'
        'admin-username ADMIN_USERNAME string'
        'admin-password ADMIN_PASSWORD secret'
        'admin-secure-hc ADMIN_SECURE_HC bool'
        'admin-tls-enabled ADMIN_TLS_ENABLED bool'
        'admin-tls-client-validation ADMIN_TLS_CLIENT_VALIDATION bool'
        'admin-tls-server-name ADMIN_TLS_SERVER_NAME string'
        'admin-tls-cert-chain-fn ADMIN_TLS_CERT_CHAIN_FN string'
        'admin-tls-private-key-fn ADMIN_TLS_PRIVATE_KEY_FN string'
        'admin-tls-client-validation-root-cert ADMIN_TLS_CLIENT_VALIDATION_ROOT_CERT string'
        'admin-tls-min-tls-version ADMIN_TLS_MIN_TLS_VERSION string'
        'admin-tls-allowed-cipher-suites ADMIN_TLS_ALLOWED_CIPHER_SUITES string'
        'persistent-storage-fn PERSISTENT_STORAGE_FN string'
        'split-refresh-rate-ms SPLIT_REFRESH_RATE_MS int'
        'segment-refresh-rate-ms SEGMENT_REFRESH_RATE_MS int'
        'largesegment-refresh-rate-ms LARGESEGMENT_REFRESH_RATE_MS int'
        'streaming-enabled STREAMING_ENABLED bool'
        'http-timeout-ms HTTP_TIMEOUT_MS int'
        'impressions-buffer-size IMPRESSIONS_BUFFER_SIZE int'
        'events-buffer-size EVENTS_BUFFER_SIZE int'
        'telemetry-buffer-size TELEMETRY_BUFFER_SIZE int'
        'impressions-workers IMPRESSIONS_WORKERS int'
        'events-workers EVENTS_WORKERS int'
        'telemetry-workers TELEMETRY_WORKERS int'
        'internal-metrics-rate-ms INTERNAL_METRICS_RATE_MS int'
        'largesegment-lazy-load LARGESEGMENT_LAZY_LOAD bool'
        'impression-listener-endpoint IMPRESSION_LISTENER_ENDPOINT string'
        'impression-listener-queue-size IMPRESSION_LISTENER_QUEUE_SIZE int'
        'slack-webhook SLACK_WEBHOOK secret'
        'slack-channel SLACK_CHANNEL string'
        'log-level LOG_LEVEL string'
        'log-output LOG_OUTPUT string'
        'log-rotation-max-files LOG_ROTATION_MAX_FILES int'
        'log-rotation-max-size-kb LOG_ROTATION_MAX_SIZE_KB int'
        'dependencies-check-rate-ms DEPENDENCIES_CHECK_RATE_MS int'
        'observability-time-slice-width-secs OBSERVABILITY_TIME_SLICE_WIDTH_SECS int'
        'observability-time-slice-max-count OBSERVABILITY_TIME_SLICE_MAX_COUNT int'
        'flag-spec-version FLAG_SPEC_VERSION string'
      )
      ;;
  esac
}
# end

# usage: valid TYPE VALUE
# Go would also take 0x10, 1_000 and +1; and 03010, which it reads as octal.
valid() {
  case $1 in
    int) [[ ${2#-} == @(0|[1-9]*([0-9])) && ${#2} -le 18 ]] ;;
    port) [[ $2 == [1-9]*([0-9]) && ${#2} -le 5 && $2 -le 65535 ]] ;;
    bool) [[ $2 == @(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False) ]] ;;
    *) ;;
  esac
}

# usage: check NAME TYPE VALUE
check() {
  local quoted wanted
  valid "$2" "$3" && return
  case $2 in
    int) wanted='a whole number (up to 18 digits, no leading zero)' ;;
    port) wanted='a port (1 to 65535, no leading zero)' ;;
    *) wanted='true or false' ;;
  esac
  quote "$3"
  # What stands in a file may be a secret that went to the wrong variable.
  [[ $1 != *_FILE ]] || quoted='what its file holds'
  [[ $3 ]] || wanted+='; unset it to have the default'
  refuse "$1: $quoted is not $wanted"
  return 1
}

# usage: is_service_link NAME
# Kubernetes gives a pod such variables for each service of its namespace; one called split-sync-admin
# brings SPLIT_SYNC_ADMIN_PORT=tcp://10.0.0.1:3010 and six more.
is_service_link() {
  [[ $1 == *_PORT && ${!1} == @(tcp|udp|sctp)://* ]] \
    || [[ $1 == *_SERVICE_@(HOST|PORT|PORT_*) ]] \
    || [[ $1 == *_PORT_+([0-9])_@(TCP|UDP|SCTP)?(_ADDR|_PORT|_PROTO) ]]
}

# usage: read_file NAME
# Sets $value to what the file holds that the variable NAME names, without the newline at its end.
# One argument may be 128 KB; what ends the read before the file does is a NUL or that limit.
read_file() {
  local fd quoted status path=${!1} limit=65536
  quote "$path"
  if [[ -r $path && ! -d $path ]] && { exec {fd}<"$path"; } 2>&-; then
    :
  else
    refuse "$1: cannot read $quoted"
    return 1
  fi
  IFS='' read -r -d '' -n "$limit" -u "$fd" value
  status=$?
  exec {fd}<&-
  if ((status == 0)); then
    refuse "$1: $quoted holds a NUL byte or is longer than $((limit - 1))"
    return 1
  fi
  value=${value%$'\n'}
}

# usage: read_setting NAME
# Sets $value and $origin, the variable that it came from. Status 1 when there is none.
read_setting() {
  local file=$1_FILE
  if [[ ! ${!file+set} ]]; then
    [[ ${!1+set} ]] || return 1
    origin=$1 value=${!1}
    ! is_service_link "$1"
  elif [[ ${!1+set} ]]; then
    refuse "$1 and $file are both set: unset one"
    return 1
  else
    origin=$file
    read_file "$file"
  fi
}

# usage: add_flags PREFIX
# Appends to $flags one argument for each setting that the environment has.
add_flags() {
  local row flag name type value origin
  for row in "${rows[@]}"; do
    flag=${row%% *} type=${row##* } name=${row#* }
    name=$1${name% *}
    known[$name]=1 known[${name}_FILE]=1
    [[ $type != secret ]] || secret[-$flag]=1
    read_setting "$name" || continue
    [[ $origin == "$name" ]] || secret[-$flag]=1
    check "$origin" "$type" "$value" || continue
    flags+=("-$flag=$value")
  done
}

# usage: tell_ignored LABEL NAME...
# One line for the variables among NAME that reach no flag, one for the service links among them.
tell_ignored() {
  local name links='' others=''
  for name in "${@:2}"; do
    if is_service_link "$name"; then
      links+=" $name"
    elif [[ ! ${known[$name]-} ]]; then
      others+=" $name"
    fi
  done
  [[ ! $links ]] || say "skipped, Kubernetes service links:$links"
  [[ ! $others ]] || say "$1:$others"
}

# usage: find_program NAME
# Sets $program to the path of NAME: beside this script, in /, in PATH. One that cannot be executed
# is only taken where there is no other. Status 1 when there is none.
find_program() {
  local IFS=: folder here=${BASH_SOURCE[0]%/*}
  program=''
  for folder in "$here" '' $PATH; do
    [[ -f $folder/$1 ]] || continue
    program=$folder/$1
    [[ ! -x $program ]] || return 0
  done
  [[ $program ]]
}

# usage: choose_kind
# Sets $kind: what PROBE_KIND says, else that of the one application that is there.
choose_kind() {
  local program found='' quoted
  kind=${PROBE_KIND-}
  [[ $kind != @(sync|proxy) ]] || return 0
  if [[ $kind ]]; then
    quote "$kind"
    say "PROBE_KIND: $quoted is not sync or proxy"
    exit 2
  fi
  for kind in sync proxy; do
    ! find_program "split-$kind" || found+=" $kind"
  done
  case $found in
    '')
      say 'neither split-sync nor split-proxy is there: not beside this script, in / or in PATH'
      exit 127
      ;;
    *\ *\ *)
      say 'split-sync and split-proxy are both there: set PROBE_KIND to sync or proxy'
      exit 2
      ;;
    *) kind=${found# } ;;
  esac
}

# usage: locate KIND
# Sets $program, or ends as a shell does where a command cannot be run.
locate() {
  if ! find_program "split-$1"; then
    say "split-$1 is not there: not beside this script, in / or in PATH"
    exit 127
  elif [[ ! -x $program ]]; then
    say "$program cannot be executed: its mode forbids it"
    exit 126
  fi
}

# usage: print_command ARGUMENT...
# One argument a line, quoted for a shell; *** stands for a secret, also for one that was an argument.
print_command() {
  local argument flag masked=''
  for argument; do
    flag=${argument#-}
    flag=-${flag#-}
    if [[ $masked ]]; then
      masked=''
      printf '***\n'
    elif [[ $argument != -* || ! ${secret[${flag%%=*}]-} ]]; then
      printf '%q\n' "$argument"
    elif [[ $argument == *=* ]]; then
      printf '%s=***\n' "${argument%%=*}"
    else
      masked=1
      printf '%s\n' "$argument"
    fi
  done
}

# usage: prepare [--print] [ARGUMENT...]
# Sets entrypoint_command, with each ARGUMENT behind the environment's flags: the last one wins.
prepare() {
  local kind program prefix url print='' faults=0
  local -a rows urls flags=() ours theirs
  local -A known=() secret=()
  if [[ ${1-} == --print ]]; then
    print=1
    shift
  fi
  choose_kind
  locate "$kind"
  flags_of "$kind"
  case $kind in
    sync) prefix=SPLIT_SYNC_ ours=("${!SPLIT_SYNC_@}") theirs=("${!SPLIT_PROXY_@}") ;;
    *) prefix=SPLIT_PROXY_ ours=("${!SPLIT_PROXY_@}") theirs=("${!SPLIT_SYNC_@}") ;;
  esac
  for url in "${urls[@]}"; do
    known[$prefix$url]=1
  done
  add_flags "$prefix"
  tell_ignored 'unknown, not passed on' "${ours[@]}"
  tell_ignored "not for split-$kind" "${theirs[@]}"
  ((faults == 0)) || exit 2
  entrypoint_command=("$program" "${flags[@]}" "$@")
  [[ $print ]] || return 0
  print_command "${entrypoint_command[@]}"
  exit 0
}
