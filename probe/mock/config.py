"""What GET /info/config says with every setting at its default: the structs of upstream's conf.

Names, order and defaults are those of the fields' tags. The SDK key and Redis' password are masked.
"""

from typing import Any

_TLS: dict[str, Any] = {
    "enabled": False,
    "clientValidation": False,
    "serverName": "",
    "certChainFn": "",
    "privateKeyFn": "",
    "clientValidationRootCertFn": "",
    "minTlsVersion": "1.3",
    "allowedCipherSuites": "",
}
_ADMIN: dict[str, Any] = {
    "host": "0.0.0.0",  # noqa: S104 # told, not bound
    "port": 3010,
    "username": "",
    "password": "",
    "secureChecks": False,
    "tls": _TLS,
}
_INTEGRATIONS: dict[str, Any] = {
    "impressionListener": {"endpoint": "", "queueSize": 100},
    "slack": {"webhook": "", "channel": ""},
}
_LOGGING: dict[str, Any] = {
    "level": "info",
    "output": "stdout",
    "rotationMaxFiles": 10,
    "rotationMaxSizeKb": 1024,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "sync": {
        "apikey": "xxxxxxxx",
        "ipAddressEnabled": True,
        "flagSetsFilter": [],
        "initialization": {"timeoutMS": 10000, "forceFreshStartup": False},
        "storage": {
            "type": "redis",
            "redis": {
                "host": "localhost",
                "port": 6379,
                "db": 0,
                "username": "",
                "password": "xxxxxxxxxxxxxxx",
                "prefix": "",
                "network": "tcp",
                "maxRetries": 0,
                "dialTimeout": 5,
                "readTimeout": 10,
                "writeTimeout": 5,
                "poolSize": 10,
                "sentinelReplication": False,
                "sentinelAddresses": "",
                "sentinelMaster": "",
                "clusterMode": False,
                "clusterNodes": "",
                "keyHashTag": "",
                "enableTLS": False,
                "tlsServerName": "",
                "caCertificates": [],
                "tlsSkipNameValidation": False,
                "tlsClientCertificate": "",
                "tlsClientKey": "",
            },
        },
        "sync": {
            "splitRefreshRateMs": 60000,
            "segmentRefreshRateMs": 60000,
            "impressionsMode": "optimized",
            "advanced": {
                "streamingEnabled": True,
                "httpTimeoutMs": 30000,
                "internalTelemetryRateMs": 3600000,
                "telemetryPushRateMs": 60000,
                "impressionsFetchSize": 0,
                "impressionsProcessConcurrency": 0,
                "impressionsProcessBatchSize": 0,
                "impressionsPostConcurrency": 0,
                "impressionsPostSize": 0,
                "impressionsAccumWaitMs": 0,
                "eventsFetchSize": 0,
                "eventsProcessConcurrency": 0,
                "eventsProcessBatchSize": 0,
                "eventsPostConcurrency": 0,
                "eventsPostSize": 0,
                "eventsAccumWaitMs": 0,
                "uniqueKeysFetchSize": 0,
                "uniqueKeysProcessConcurrency": 0,
                "uniqueKeysProcessBatchSize": 0,
                "uniqueKeysPostConcurrency": 0,
                "uniqueKeysAccumWaitMs": 0,
                "impressionsCountWorkerReadRateMs": 60000,
            },
        },
        "admin": _ADMIN,
        "integrations": _INTEGRATIONS,
        "logging": _LOGGING,
        "healthcheck": {"app": {"storageCheckRateMs": 3600000}},
        "flagSpecVersion": "1.3",
    },
    "proxy": {
        "apikey": "xxxxxxxx",
        "ipAddressEnabled": True,
        "flagSetsFilter": [],
        "flagSetStrictMatching": False,
        "initialization": {"timeoutMS": 10000, "snapshot": "", "forceFreshStartup": False},
        "server": {
            "apikeys": ["SDK_API_KEY"],
            "host": "0.0.0.0",  # noqa: S104 # told, not bound
            "port": 3000,
            "httpCacheSize": 1000000,
            "tls": _TLS,
        },
        "admin": _ADMIN,
        "storage": {"volatile": {}, "persistent": {"filename": ""}},
        "sync": {
            "splitRefreshRateMs": 60000,
            "segmentRefreshRateMs": 60000,
            "largeSegmentRefreshRateMs": 600000,
            "advanced": {
                "streamingEnabled": True,
                "httpTimeoutMs": 30000,
                "impressionsBufferSize": 500,
                "eventsBufferSize": 500,
                "telemetryBufferSize": 500,
                "impressionsWorkers": 10,
                "eventsWorkers": 10,
                "telemetryWorkers": 10,
                "internalTelemetryRateMs": 3600000,
                "largeSegmentLazyLoad": False,
            },
        },
        "integrations": _INTEGRATIONS,
        "logging": _LOGGING,
        "healthcheck": {"dependencies": {"dependenciesCheckRateMs": 3600000}},
        "observability": {"timeSliceWidthSecs": 300, "maxTimeSliceCount": 100},
        "flagSpecVersion": "1.3",
    },
}
