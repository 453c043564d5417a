"""Tests of controlplane.api: parsers, validators and the schema."""
