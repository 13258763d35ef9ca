{{/* What the names of everything begin with. */}}
{{- define "hilum.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 34 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* Every service of contracts::service::ServiceName. */}}
{{- define "hilum.services" -}}
imaging patients inference integration identity audit
{{- end -}}

{{- define "hilum.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hilum.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "hilum.selector" . }}
{{- end -}}

{{- define "hilum.image" -}}
{{- $repository := required "image.repository: say where the image of deploy/Dockerfile is" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "hilum.host" -}}
{{- required "host: say by which name Hilum is reached" .Values.host -}}
{{- end -}}

{{/* The secret with the certificate of `host`. */}}
{{- define "hilum.webSecret" -}}
{{- if .Values.web.tls.secret -}}
{{ .Values.web.tls.secret }}
{{- else if .Values.web.tls.issuerRef -}}
{{ include "hilum.fullname" . }}-web
{{- else -}}
{{ fail "web.tls: name a secret, or the issuerRef of cert-manager that makes one" }}
{{- end -}}
{{- end -}}

{{/* What holds for every pod (Pod Security Standards, restricted). */}}
{{- define "hilum.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# An archive has many files: they are looked through only where the folder is not ours.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hilum.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The database as its setting; with the owner's address for the migration alone. */}}
{{- define "hilum.database" -}}
{url_file="/etc/hilum/database/url",schema_prefix={{ .root.Values.database.schemaPrefix | quote }},connections={{ int .root.Values.database.connections }}
{{- if .owner }},owner_url_file="/etc/hilum/owner/url"{{ end }}}
{{- end -}}

{{- define "hilum.publicUrl" -}}
https://{{ include "hilum.host" . }}{{ if ne (int .Values.web.service.port) 443 }}:{{ int .Values.web.service.port }}{{ end }}
{{- end -}}

{{/* Where each service is asked by its neighbours. */}}
{{- define "hilum.neighbours" -}}
{listen="0.0.0.0:7300",certificate="/etc/hilum/neighbours/tls.crt",key="/etc/hilum/neighbours/tls.key",ca="/etc/hilum/neighbours/ca.crt",at={
{{- range $index, $service := splitList " " (include "hilum.services" .) }}{{ if $index }},{{ end }}{{ $service }}="https://{{ include "hilum.fullname" $ }}-{{ $service }}:7300"{{ end }}}}
{{- end -}}
