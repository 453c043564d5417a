"""Whether this host can run virtual machines at full speed: not whether /dev/kvm exists, but whether it works."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_KVM_CREATE_VM = 0xAE01
_KVM_CREATE_VCPU = 0xAE41


def why_not() -> str:
    """Return "" where KVM works, else why it doesn't."""
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    if not {"vmx", "svm"} & set(flags):
        return "the processor offers no virtualisation (no vmx or svm flag)"
    try:
        kvm = os.open("/dev/kvm", os.O_RDWR)
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    try:
        machine = fcntl.ioctl(kvm, _KVM_CREATE_VM, 0)
        os.close(fcntl.ioctl(machine, _KVM_CREATE_VCPU, 0))
        os.close(machine)
    except OSError as error:
        return f"/dev/kvm is there, but a virtual machine can't be made: {error.strerror}"
    finally:
        os.close(kvm)
    return ""
