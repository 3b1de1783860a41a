{{- define "clickpipe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name alone, where that says it already. */}}
{{- define "clickpipe.fullname" -}}
{{- $name := include "clickpipe.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Immutable in the Deployment: nothing that an upgrade changes. */}}
{{- define "clickpipe.selectorLabels" -}}
app.kubernetes.io/name: {{ include "clickpipe.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "clickpipe.labels" -}}
{{ include "clickpipe.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: clickpipe
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "clickpipe.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "clickpipe.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "clickpipe.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* What the operator may do where it serves ClickPipes. Secrets are not in it: kubelets mount them into the workers. */}}
{{- define "clickpipe.rules" -}}
- apiGroups: [clickpipe.dev]
  resources: [clickpipes] # its finalizer, never the spec
  verbs: [get, list, watch, patch, update]
- apiGroups: [clickpipe.dev]
  resources: [clickpipes/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events] # its own, and those that say why a worker does not start
  verbs: [get, list, create, patch]
{{- end }}
