"""The settings of split-sync and split-proxy 5.12.4: flag, type, default.

The environment variable of a setting is the prefix and the flag in capitals, `-` as `_`; the
images' entrypoint makes the flag of it (upstream's docker/functions.sh). The five *_URL variables
are read by the binaries themselves.
"""

from typing import NamedTuple


class Setting(NamedTuple):
    """One row; `type` is Go's: string, list (commas), int, bool."""

    flag: str
    type: str
    default: str


# The admin server is the same code in both.
_ADMIN = (
    Setting("admin-host", "string", "0.0.0.0"),
    Setting("admin-port", "int", "3010"),
    Setting("admin-username", "string", ""),
    Setting("admin-password", "string", ""),
    Setting("admin-secure-hc", "bool", "false"),
    Setting("admin-tls-enabled", "bool", "false"),
    Setting("admin-tls-client-validation", "bool", "false"),
    Setting("admin-tls-server-name", "string", ""),
    Setting("admin-tls-cert-chain-fn", "string", ""),
    Setting("admin-tls-private-key-fn", "string", ""),
    Setting("admin-tls-client-validation-root-cert", "string", ""),
    Setting("admin-tls-min-tls-version", "string", "1.3"),
    Setting("admin-tls-allowed-cipher-suites", "string", ""),
)

SYNC = (
    Setting("apikey", "string", ""),
    Setting("ip-address-enabled", "bool", "true"),
    Setting("flag-sets-filter", "list", ""),
    Setting("timeout-ms", "int", "10000"),
    Setting("force-fresh-startup", "bool", "false"),
    Setting("storage-type", "string", "redis"),
    Setting("redis-host", "string", "localhost"),
    Setting("redis-port", "int", "6379"),
    Setting("redis-db", "int", "0"),
    Setting("redis-user", "string", ""),
    Setting("redis-pass", "string", ""),
    Setting("redis-prefix", "string", ""),
    Setting("redis-network", "string", "tcp"),
    Setting("redis-max-retries", "int", "0"),
    Setting("redis-dial-timeout", "int", "5"),
    Setting("redis-read-timeout", "int", "10"),
    Setting("redis-write-timeout", "int", "5"),
    Setting("redis-pool", "int", "10"),
    Setting("redis-sentinel-replication", "bool", "false"),
    Setting("redis-sentinel-addresses", "string", ""),
    Setting("redis-sentinel-master", "string", ""),
    Setting("redis-cluster-mode", "bool", "false"),
    Setting("redis-cluster-nodes", "string", ""),
    Setting("redis-cluster-key-hashtag", "string", ""),
    Setting("redis-tls", "bool", "false"),
    Setting("redis-tls-server-name", "string", ""),
    Setting("redis-tls-ca-certs", "list", ""),
    Setting("redis-tls-skip-name-validation", "bool", "false"),
    Setting("redis-tls-client-certificate", "string", ""),
    Setting("redis-tls-client-key", "string", ""),
    Setting("split-refresh-rate-ms", "int", "60000"),
    Setting("segment-refresh-rate-ms", "int", "60000"),
    Setting("impressions-mode", "string", "optimized"),
    Setting("streaming-enabled", "bool", "true"),
    Setting("http-timeout-ms", "int", "30000"),
    Setting("internal-metrics-rate-ms", "int", "3600000"),
    Setting("telemetry-push-rate-ms", "int", "60000"),
    Setting("impressions-fetch-size", "int", "0"),
    Setting("impressions-process-concurrency", "int", "0"),
    Setting("impressions-process-batch-size", "int", "0"),
    Setting("impressions-post-concurrency", "int", "0"),
    Setting("impressions-post-size", "int", "0"),
    Setting("impressions-accum-wait-ms", "int", "0"),
    Setting("events-fetch-size", "int", "0"),
    Setting("events-process-concurrency", "int", "0"),
    Setting("events-process-batch-size", "int", "0"),
    Setting("events-post-concurrency", "int", "0"),
    Setting("events-post-size", "int", "0"),
    Setting("events-accum-wait-ms", "int", "0"),
    Setting("unique-keys-fetch-size", "int", "0"),
    Setting("unique-keys-process-concurrency", "int", "0"),
    Setting("unique-keys-process-batch-size", "int", "0"),
    Setting("unique-keys-post-concurrency", "int", "0"),
    Setting("unique-keys-accum-wait-ms", "int", "0"),
    Setting("impressions-count-worker-read-rate-ms", "int", "60000"),
    *_ADMIN,
    Setting("impression-listener-endpoint", "string", ""),
    Setting("impression-listener-queue-size", "int", "100"),
    Setting("slack-webhook", "string", ""),
    Setting("slack-channel", "string", ""),
    Setting("log-level", "string", "info"),
    Setting("log-output", "string", "stdout"),
    Setting("log-rotation-max-files", "int", "10"),
    Setting("log-rotation-max-size-kb", "int", "1024"),
    Setting("storage-check-rate-ms", "int", "3600000"),
    Setting("flag-spec-version", "string", "1.3"),
)  # fmt: skip

PROXY = (
    Setting("apikey", "string", ""),
    Setting("ip-address-enabled", "bool", "true"),
    Setting("flag-sets-filter", "list", ""),
    Setting("flag-sets-strict-matching", "bool", "false"),
    Setting("timeout-ms", "int", "10000"),
    Setting("snapshot", "string", ""),
    Setting("force-fresh-startup", "bool", "false"),
    Setting("client-apikeys", "list", "SDK_API_KEY"),
    Setting("server-host", "string", "0.0.0.0"),
    Setting("server-port", "int", "3000"),
    Setting("http-cache-size", "int", "1000000"),
    Setting("server-tls-enabled", "bool", "false"),
    Setting("server-tls-client-validation", "bool", "false"),
    Setting("server-tls-server-name", "string", ""),
    Setting("server-tls-cert-chain-fn", "string", ""),
    Setting("server-tls-private-key-fn", "string", ""),
    Setting("server-tls-client-validation-root-cert", "string", ""),
    Setting("server-tls-min-tls-version", "string", "1.3"),
    Setting("server-tls-allowed-cipher-suites", "string", ""),
    *_ADMIN,
    Setting("persistent-storage-fn", "string", ""),
    Setting("split-refresh-rate-ms", "int", "60000"),
    Setting("segment-refresh-rate-ms", "int", "60000"),
    Setting("largesegment-refresh-rate-ms", "int", "600000"),
    Setting("streaming-enabled", "bool", "true"),
    Setting("http-timeout-ms", "int", "30000"),
    Setting("impressions-buffer-size", "int", "500"),
    Setting("events-buffer-size", "int", "500"),
    Setting("telemetry-buffer-size", "int", "500"),
    Setting("impressions-workers", "int", "10"),
    Setting("events-workers", "int", "10"),
    Setting("telemetry-workers", "int", "10"),
    Setting("internal-metrics-rate-ms", "int", "3600000"),
    Setting("largesegment-lazy-load", "bool", "false"),
    Setting("impression-listener-endpoint", "string", ""),
    Setting("impression-listener-queue-size", "int", "100"),
    Setting("slack-webhook", "string", ""),
    Setting("slack-channel", "string", ""),
    Setting("log-level", "string", "info"),
    Setting("log-output", "string", "stdout"),
    Setting("log-rotation-max-files", "int", "10"),
    Setting("log-rotation-max-size-kb", "int", "1024"),
    Setting("dependencies-check-rate-ms", "int", "3600000"),
    Setting("observability-time-slice-width-secs", "int", "300"),
    Setting("observability-time-slice-max-count", "int", "100"),
    Setting("flag-spec-version", "string", "1.3"),
)  # fmt: skip

URLS = (
    "SDK_URL",
    "EVENTS_URL",
    "AUTH_SERVICE_URL",
    "STREAMING_SERVICE_URL",
    "TELEMETRY_SERVICE_URL",
)

# What must never stand in a document in plain text. The proxy's client keys are what its SDKs
# authenticate with; a Slack web hook is a credential in itself.
SECRET = frozenset({"apikey", "admin-password", "redis-pass", "client-apikeys", "slack-webhook"})

PREFIXES = {"sync": "SPLIT_SYNC_", "proxy": "SPLIT_PROXY_"}
SETTINGS = {"sync": SYNC, "proxy": PROXY}

# Go's strconv.ParseBool.
TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
