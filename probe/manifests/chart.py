"""The templates of the Helm chart, `CHART` in place of its name, and the schema of its values.

The names of templates are global to a release, so each begins with the chart's.
"""

from typing import Any

from probe.platforms.rows import KUBERNETES
from probe.platforms.rows import Field

Schema = dict[str, Any]

SCRIPT = "files/healthcheck.sh"

_HELPERS = """\
{{- define "CHART.fullname" -}}
{{- $both := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- $name := ternary .Release.Name $both (contains .Chart.Name .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "CHART.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "CHART.labels" -}}
{{ include "CHART.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "CHART.image" -}}
{{- .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* The name changes with the script, so that pods are replaced when it does. */}}
{{- define "CHART.configMap" -}}
{{- $hash := .Files.Get "files/healthcheck.sh" | sha256sum | trunc 10 -}}
{{ include "CHART.fullname" . }}-healthcheck-{{ $hash }}
{{- end }}
"""

_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "CHART.fullname" . }}
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
spec:
  replicas: {{ int .Values.replicas }}
  progressDeadlineSeconds: {{ int .Values.progressDeadlineSeconds }}
  selector:
    matchLabels:
      {{- include "CHART.selectorLabels" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
        {{- include "CHART.selectorLabels" . | nindent 8 }}
      {{- with .Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "CHART.fullname" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
      securityContext:
        runAsNonRoot: true
        runAsUser: {{ int .Values.user }}
        runAsGroup: {{ int .Values.user }}
        seccompProfile:
          type: RuntimeDefault
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ include "CHART.image" .Values.image | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          {{- if or .Values.env .Values.secrets }}
          env:
            {{- range $name, $value := .Values.env }}
            - name: {{ $name }}
              {{- /* Kubernetes expands $(NAME) and $$ in a value. */}}
              value: {{ $value | replace "$" "$$" | quote }}
            {{- end }}
            {{- range $name, $reference := .Values.secrets }}
            - name: {{ $name }}
              valueFrom:
                secretKeyRef:
                  {{- toYaml $reference | nindent 18 }}
            {{- end }}
          {{- end }}
          {{- with .Values.ports }}
          ports:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop:
                - ALL
          {{- toYaml .Values.probes | nindent 10 }}
          {{- if or .Values.tmp.enabled .Values.mountScript }}
          volumeMounts:
            {{- if .Values.tmp.enabled }}
            - name: tmp
              mountPath: /tmp
            {{- end }}
            {{- if .Values.mountScript }}
            - name: healthcheck
              mountPath: /healthcheck.sh
              subPath: healthcheck.sh
              readOnly: true
            {{- end }}
          {{- end }}
      {{- if or .Values.tmp.enabled .Values.mountScript }}
      volumes:
        {{- if .Values.tmp.enabled }}
        - name: tmp
          emptyDir:
            sizeLimit: {{ .Values.tmp.sizeLimit }}
        {{- end }}
        {{- if .Values.mountScript }}
        - name: healthcheck
          configMap:
            name: {{ include "CHART.configMap" . }}
            defaultMode: 365
        {{- end }}
      {{- end }}
"""

_SERVICE = """\
{{- if .Values.service.ports }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "CHART.fullname" . }}
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
spec:
  type: {{ .Values.service.type }}
  selector:
    {{- include "CHART.selectorLabels" . | nindent 4 }}
  ports:
    {{- toYaml .Values.service.ports | nindent 4 }}
{{- end }}
"""

_SERVICE_ACCOUNT = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "CHART.fullname" . }}
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
automountServiceAccountToken: false
"""

_CONFIG_MAP = """\
{{- if .Values.mountScript }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "CHART.configMap" . }}
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
data:
  {{- (.Files.Glob "files/healthcheck.sh").AsConfig | nindent 2 }}
{{- end }}
"""

_NETWORK_POLICY = """\
{{- if .Values.networkPolicy.enabled }}
{{- $port := int .Values.networkPolicy.port }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "CHART.fullname" . }}
  labels:
    {{- include "CHART.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "CHART.selectorLabels" . | nindent 6 }}
  policyTypes:
    - Ingress
  ingress:
    # Every other port stays as open as it was without a policy.
    - ports:
        {{- if gt $port 1 }}
        - protocol: TCP
          port: 1
          endPort: {{ sub $port 1 }}
        {{- end }}
        {{- if lt $port 65535 }}
        - protocol: TCP
          port: {{ add $port 1 }}
          endPort: 65535
        {{- end }}
        - protocol: UDP
        - protocol: SCTP
    {{- with .Values.networkPolicy.from }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - protocol: TCP
          port: {{ $port }}
    {{- end }}
{{- end }}
"""

_NOTES = """\
Wait until {{ include "CHART.fullname" . }} is ready:

  kubectl --namespace {{ .Release.Namespace }} rollout status deployment/\
{{ include "CHART.fullname" . }}

A pod that does not become ready says why in its events:

  kubectl --namespace {{ .Release.Namespace }} describe pod --selector \
app.kubernetes.io/instance={{ .Release.Name }}
"""

_TEMPLATES = {
    "_helpers.tpl": _HELPERS,
    "configmap.yaml": _CONFIG_MAP,
    "deployment.yaml": _DEPLOYMENT,
    "networkpolicy.yaml": _NETWORK_POLICY,
    "service.yaml": _SERVICE,
    "serviceaccount.yaml": _SERVICE_ACCOUNT,
    "NOTES.txt": _NOTES,
}


def templates(chart: str) -> dict[str, str]:
    """Return the templates of a chart of this name, by path."""
    return {f"templates/{name}": text.replace("CHART", chart) for name, text in _TEMPLATES.items()}


_TEXT: Schema = {"type": "string"}
_WORD: Schema = {"type": "string", "minLength": 1}
_SWITCH: Schema = {"type": "boolean"}
_PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
# The API server's own rules for the name of a port (IsValidPortName), letters aside.
_PORT_WORD: Schema = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
                      "maxLength": 15}  # fmt: skip
_QUANTITY: Schema = {"type": ["string", "number"], "pattern": "^[0-9.]+([munkKMGTPE]i?|)$"}
_QUANTITIES: Schema = {"type": "object", "additionalProperties": _QUANTITY}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"


def _object(required: str = "", **properties: Schema) -> Schema:
    """Return an object without other keys; *required* are words."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _count(minimum: float, maximum: int) -> Schema:
    return {"type": "integer", "minimum": int(minimum), "maximum": maximum}


def _whole(field: Field) -> Schema:
    return _count(field.minimum, field.maximum)


_SECONDS = _whole(KUBERNETES.interval)
_ONE: Schema = {"const": 1}
_HANDLERS: dict[str, Schema] = {
    "exec": _object("command", command={**_list(_TEXT), "minItems": 1}),
    "httpGet": _object(
        "port",
        path={"type": "string", "pattern": "^/"},
        port={"anyOf": [_PORT, _PORT_WORD]},
        scheme={"enum": ["HTTP", "HTTPS"]},
    ),
}


def _probe(success: Schema, **others: Schema) -> Schema:
    schema = _object(
        "",
        **_HANDLERS,
        initialDelaySeconds=_whole(KUBERNETES.start_period),
        periodSeconds=_SECONDS,
        timeoutSeconds=_whole(KUBERNETES.timeout),
        successThreshold=success,
        failureThreshold=_whole(KUBERNETES.retries),
        **others,
    )
    return schema | {"oneOf": [{"required": [key]} for key in _HANDLERS]}


# The API server takes another successThreshold and a grace period of its own where they have sense.
_PROBES = _object(
    "livenessProbe readinessProbe",
    startupProbe=_probe(_ONE, terminationGracePeriodSeconds=_SECONDS),
    livenessProbe=_probe(_ONE, terminationGracePeriodSeconds=_SECONDS),
    readinessProbe=_probe(_whole(KUBERNETES.retries)),
)

_PROPERTIES: dict[str, Schema] = {
    "global": {"type": "object"},
    "fullnameOverride": _TEXT,
    "replicas": _count(0, KUBERNETES.retries.maximum),
    "image": _object(
        "repository pullPolicy",
        repository=_WORD,
        tag=_TEXT,
        digest={"type": "string", "pattern": "^(|sha256:[0-9a-f]{64})$"},
        pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    ),
    "imagePullSecrets": _list(_object("name", name=_WORD)),
    "podAnnotations": _TEXTS,
    "nodeSelector": _TEXTS,
    "tolerations": _list({"type": "object"}),
    "affinity": {"type": "object"},
    "user": _count(1, KUBERNETES.retries.maximum),
    "env": {**_TEXTS, "propertyNames": {"pattern": _VARIABLE}},
    "secrets": {
        "type": "object",
        "propertyNames": {"pattern": _VARIABLE},
        "additionalProperties": _object("name key", name=_WORD, key=_WORD),
    },
    "ports": _list(
        _object(
            "name containerPort",
            name=_PORT_WORD,
            containerPort=_PORT,
            protocol={"enum": ["TCP", "UDP", "SCTP"]},
        )
    ),
    "resources": _object("", requests=_QUANTITIES, limits=_QUANTITIES),
    "probes": _PROBES,
    "terminationGracePeriodSeconds": _SECONDS,
    "progressDeadlineSeconds": _SECONDS,
    "tmp": _object("enabled sizeLimit", enabled=_SWITCH, sizeLimit=_QUANTITY),
    "mountScript": _SWITCH,
    "service": _object(
        "type ports",
        type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
        ports=_list(
            _object(
                "name port",
                name=_PORT_WORD,
                port=_PORT,
                targetPort={"anyOf": [_PORT, _PORT_WORD]},
                protocol={"enum": ["TCP", "UDP", "SCTP"]},
            )
        ),
    ),
    "networkPolicy": _object(
        "enabled port from",
        enabled=_SWITCH,
        port=_PORT,
        **{"from": _list({"type": "object"})},
    ),
}
_REQUIRED = (
    "replicas image user resources probes terminationGracePeriodSeconds progressDeadlineSeconds "
    "tmp mountScript service networkPolicy"
)


def schema() -> Schema:
    """Return the schema of the values: draft 7, which Helm 3 and 4 read."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_object(_REQUIRED, **_PROPERTIES),
    }
