"""Tests of controlplane.apiserver.resources: each kind, as the server uses it."""
