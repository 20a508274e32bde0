{{- define "split-sync.fullname" -}}
{{- $both := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- $name := ternary .Release.Name $both (contains .Chart.Name .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "split-sync.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "split-sync.labels" -}}
{{ include "split-sync.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "split-sync.image" -}}
{{- .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* The name changes with the script, so that pods are replaced when it does. */}}
{{- define "split-sync.configMap" -}}
{{- $hash := .Files.Get "files/healthcheck.sh" | sha256sum | trunc 10 -}}
{{ include "split-sync.fullname" . }}-healthcheck-{{ $hash }}
{{- end }}
