"""Bodies that kubectl 1.37.1 sent for its own create commands, captured from the wire (base64)."""

BODIES = {
    "namespace": ("azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhwKFAoEZGVtbxIAGgAiACoAMgA4AEIAEgAaAgoAGgAiAA=="),
    "configmap": ("azhzAAoPCgJ2MRIJQ29uZmlnTWFwEiMKEgoCY20SABoAIgAqADIAOABCABIGCgFhEgFiEgUKAWMSABoAIgA="),
    "secret": ("azhzAAoMCgJ2MRIGU2VjcmV0EiEKEQoBcxIAGgAiACoAMgA4AEIAEgoKBHVzZXISAm1lGgAaACIA"),
    "serviceaccount": ("azhzAAoUCgJ2MRIOU2VydmljZUFjY291bnQSFAoSCgJzYRIAGgAiACoAMgA4AEIAGgAiAA=="),
    "nodeport": (
        "azhzAAoNCgJ2MRIHU2VydmljZRJqCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkMKHQoHODAtODA4MBIDVENQ"
        "GFAiBwgAEJA/GgAogOsBEgoKA2FwcBIDd2ViGgAiCE5vZGVQb3J0OgBCAFIAWgBgAGgAGgIKABoAIgA="
    ),
    "deployment": (
        "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50Ep8BChsKAWQSABoAIgAqADIAOABCAFoICgNhcHASAWQScggAEgoKCAoDYXBw"
        "EgFkGloKGgoAEgAaACIAKgAyADgAQgBaCAoDYXBwEgFkEjwSHgoDd2ViEgN3ZWIqAEIAagByAIABAIgBAJABAKIBABoAMgBC"
        "AEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA=="
    ),
    "headless": (
        "azhzAAoNCgJ2MRIHU2VydmljZRJKChsKAWgSABoAIgAqADIAOABCAFoICgNhcHASAWgSJxIICgNhcHASAWgaBE5vbmUiCUNs"
        "dXN0ZXJJUDoAQgBSAFoAYABoABoCCgAaACIA"
    ),
    "externalname": (
        "azhzAAoNCgJ2MRIHU2VydmljZRJMChsKAWUSABoAIgAqADIAOABCAFoICgNhcHASAWUSKRIICgNhcHASAWUaACIMRXh0ZXJu"
        "YWxOYW1lOgBCAFIDYS5iWgBgAGgAGgIKABoAIgA="
    ),
}
