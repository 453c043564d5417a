"""Everything about a pod's spec, wherever it stands: in a pod, or in a template.

`defaults` fills it in, `validation` and `containers` judge it, `updates` judges a change of it, `unimplemented`
names what we keep without acting on it, `quality` derives the QoS class. Vocabulary and order as in
`pkg/apis/core/v1/defaults.go` and `pkg/apis/core/validation/validation.go`.
"""
