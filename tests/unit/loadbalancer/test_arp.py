"""ARP frames, byte by byte."""

from loadbalancer.arp import frame, sender_of

MAC = bytes.fromhex("020000000001")


def test_a_gratuitous_request() -> None:
    built = frame(1, (MAC, "10.77.0.200"), (bytes(6), "10.77.0.200"))
    assert (
        built.hex()
        == (
            "ffffffffffff" + "020000000001" + "0806"  # to everybody, from us, ARP
            "0001" + "0800" + "06" + "04" + "0001"  # Ethernet, IPv4, lengths, request
            "020000000001" + "0a4d00c8" + "000000000000" + "0a4d00c8"
        )
    )


def test_the_sender_of_a_frame() -> None:
    assert sender_of(frame(2, (MAC, "10.77.0.200"), (MAC, "10.77.0.9"))) == (MAC, "10.77.0.200")


def test_what_is_no_arp_of_ipv4_has_no_sender() -> None:
    good = frame(2, (MAC, "10.77.0.200"), (MAC, "10.77.0.9"))
    assert sender_of(good[:20]) is None
    assert sender_of(good[:12] + b"\x08\x00" + good[14:]) is None
    assert sender_of(good[:16] + b"\x86\xdd" + good[18:]) is None
