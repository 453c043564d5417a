"""The lab program: machines, network, images and the checks around them, behind `make`.

It uses the standard library only, so that it runs on the host's bare python3 before anything is installed. What
needs more (Ansible, pytest, kubectl) runs as a command from the host's virtual environment.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (the host's python3 may be older than the project's)
    sys.exit("python3 here is older than 3.11: the lab's host is a Debian 12 machine")
