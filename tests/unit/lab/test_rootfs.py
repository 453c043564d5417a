"""Which of the host's apt entries a machine's root file system is made from."""

from pathlib import Path

import pytest

from lab.rootfs import debian_sources

STANZA = "Types: deb\nURIs: https://{host}\nSuites: {suites}\nComponents: main\nSigned-By: {key}"
KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEBIAN = STANZA.format(host="mirror/debian", suites="bookworm bookworm-updates", key=KEY)
OTHER = STANZA.format(host="else/where", suites="bookworm", key="/etc/apt/keyrings/other.gpg")
LINE = f"deb [signed-by={KEY}] https://mirror/debian bookworm main"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sources.list.d/debian.sources": f"{DEBIAN}\n\n{OTHER}\n"}, f"{DEBIAN}\n"),
        ({"sources.list": f"{LINE}\n# {LINE}\n"}, f"{LINE}\n"),
        ({"sources.list": "deb https://mirror/debian bookworm main\n"}, "deb https://mirror/debian bookworm main\n"),
        (
            {"sources.list": "deb [signed-by=/k.gpg] https://else bookworm main\ndeb https://mirror trixie main\n"},
            "\n",
        ),
        ({"sources.list": "deb-src https://mirror/debian bookworm main\n"}, "\n"),
        ({"sources.list.d/off.sources.disabled": DEBIAN}, "\n"),
    ],
    ids=["stanzas", "signed line", "plain line", "foreign", "sources only", "disabled"],
)
def test_only_debians_own_entries_are_taken(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert debian_sources(tmp_path, "bookworm") == expected
