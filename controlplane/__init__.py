"""The control plane: the API over the store, and the loops that make the world look like it.

Start in `controlplane/README.md`. Import directions are enforced by import-linter (`pyproject.toml`).
"""
