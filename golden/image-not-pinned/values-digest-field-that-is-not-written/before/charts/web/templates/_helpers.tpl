{{- define "web.image" -}}
{{ .registry }}/{{ .repository }}:{{ .tag }}
{{- if .digest }}@{{ .digest }}{{ end }}
{{- end -}}
