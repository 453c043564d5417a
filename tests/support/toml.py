"""Configuration files as the roles write them: flat TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def write_toml(path: Path, values: Mapping[str, object]) -> Path:
    """Numbers and booleans as they are, all else (paths, too) as text."""
    plain = {key: value if isinstance(value, int | float) else str(value) for key, value in values.items()}
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items()))
    return path
