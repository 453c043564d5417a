"""Lets the tests import the lab's Ansible collection by the name that Ansible gives it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "ansible" / "collections"))
