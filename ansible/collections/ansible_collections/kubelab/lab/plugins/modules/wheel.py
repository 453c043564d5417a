#!/usr/bin/python
# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""The node's half of `kubelab.lab.wheel`: keep one wheel installed in a Python environment, known by its hash."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: wheel
short_description: Keep a wheel installed, byte for byte
description:
  - Installs a wheel from the host into an environment on the node, without its dependencies, unless the very
    same bytes were installed there last. The version doesn't matter, so that a rebuilt wheel of the same version
    is noticed.
  - Only a hash travels when nothing is to do.
version_added: 0.1.0
author: The kubelab authors (@kubelab)
attributes:
  check_mode: {support: full, description: Says whether it would install.}
options:
  wheel:
    description: Path of the wheel on the host.
    type: path
    required: true
  venv:
    description: The environment on the node.
    type: path
    required: true
  sha256:
    description: Filled in by the action plugin.
    type: str
  install:
    description: Filled in by the action plugin.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Install our code
  kubelab.lab.wheel:
    wheel: "{{ lab_wheel }}"
    venv: /opt/kubelab/venv
"""

RETURN = r"""
missing:
  description: Whether the wheel was not there at first.
  returned: always
  type: bool
"""

STAMP = "kubelab-wheel.sha256"


def installed_digest(venv: str) -> str:
    """The hash of the wheel that was installed last, empty when none was."""
    try:
        with open(os.path.join(venv, STAMP), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "wheel": {"type": "path", "required": True},
            "venv": {"type": "path", "required": True},
            "sha256": {"type": "str"},
            "install": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    venv, digest = module.params["venv"], module.params["sha256"]
    missing = installed_digest(venv) != digest
    if missing and module.params["install"]:
        stamp = os.path.join(venv, STAMP)
        if os.path.exists(stamp):
            os.unlink(stamp)  # from here to the end the environment is in between
        python = os.path.join(venv, "bin", "python")
        options = ["--quiet", "--no-index", "--no-deps", "--force-reinstall", "--disable-pip-version-check"]
        code, out, err = module.run_command([python, "-m", "pip", "install", *options, module.params["wheel"]])
        if code != 0:
            module.fail_json(msg=f"pip could not install our wheel: {(err or out).strip()}", missing=True)
        with open(stamp, "w", encoding="ascii") as file:
            file.write(digest)
    module.exit_json(changed=missing, missing=missing)


if __name__ == "__main__":
    main()
