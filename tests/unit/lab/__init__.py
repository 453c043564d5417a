"""Tests of the lab program (ansible/lab)."""
