"""What several files of testinfra ask of a machine, in one call each."""

from __future__ import annotations

from dataclasses import dataclass

from testinfra.host import Host

PKI = "/etc/kubelab/pki"


@dataclass(frozen=True)
class Unit:
    """What systemd says of a unit."""

    properties: dict[str, str]

    @property
    def runs(self) -> bool:
        return self.properties["ActiveState"] == "active" and self.properties["SubState"] == "running"

    @property
    def enabled(self) -> bool:
        return self.properties["UnitFileState"] == "enabled"

    @property
    def masked(self) -> bool:
        return self.properties["LoadState"] == "masked"

    @property
    def comes_back(self) -> bool:
        """Started again whenever it ends, without a limit of tries."""
        return self.properties["Restart"] == "always" and self.properties["StartLimitIntervalUSec"] == "0"

    @property
    def memory_max(self) -> str:
        return self.properties["MemoryMax"]


def units(host: Host, *names: str) -> dict[str, Unit]:
    """The units of those names (without `.service`)."""
    wanted = "Id,LoadState,ActiveState,SubState,UnitFileState,Restart,StartLimitIntervalUSec,MemoryMax,User,Type"
    out = host.check_output(f"systemctl show --property={wanted} -- {' '.join(f'{n}.service' for n in names)}")
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]
    return {block["Id"].removesuffix(".service"): Unit(block) for block in blocks}


def listeners(host: Host) -> dict[str, str]:
    """Local `address:port` of each listening TCP socket to the programs that hold it."""
    rows = [row.split(None, 5) for row in host.check_output("ss -H -ltnp").splitlines()]
    return {row[3]: row[5] if len(row) > 5 else "" for row in rows}


def curl(host: Host, url: str, *options: str) -> str:
    """What a server answers; its certificate must be the lab's."""
    return str(host.check_output(f"curl -s --max-time 5 --cacert {PKI}/ca.crt {' '.join(options)} {url}"))


def http_code(host: Host, url: str, *options: str) -> str:
    """The status with which a server answers, "000" when there was no HTTP answer."""
    command = f"curl -s -o /dev/null -w '%{{http_code}}' --max-time 5 --cacert {PKI}/ca.crt {' '.join(options)} {url}"
    return str(host.run(command).stdout).strip()


def certificate_options(name: str) -> tuple[str, ...]:
    """curl's options to be the holder of one of the machine's certificates."""
    return (f"--cert {PKI}/{name}.crt", f"--key {PKI}/{name}.key")
