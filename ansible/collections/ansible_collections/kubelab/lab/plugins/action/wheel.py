# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""The host's half of `kubelab.lab.wheel`: carry the wheel to the node only when the node lacks it."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Asks the module first, with the wheel's hash; on a miss brings the file and asks again."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        wheel = str(self._task.args["wheel"])
        try:
            with open(wheel, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            raise AnsibleActionFail(f"our wheel can't be read ({error}): `make` builds it") from error
        question = {"wheel": os.path.basename(wheel), "venv": self._task.args["venv"], "sha256": digest}
        answer = self._ask(question, variables)
        if answer.get("missing") and not self._task.check_mode:
            try:
                folder = self._make_tmp_path()
                there = self._connection._shell.join_path(folder, os.path.basename(wheel))
                self._transfer_file(wheel, there)
                answer = self._ask({**question, "wheel": there, "install": True}, variables)
            finally:
                self._remove_tmp_path(self._connection._shell.tmpdir)
        result.update(answer)
        return result

    def _ask(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="kubelab.lab.wheel", module_args=arguments, task_vars=variables
        )
        return answer
