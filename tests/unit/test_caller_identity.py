"""The identity of a caller: its token if it has one, else its connection."""

from __future__ import annotations

from latimer_server.rpc.caller_identity import identify_caller


def test_a_token_identifies_its_caller_on_every_connection_and_is_not_part_of_the_name() -> None:
    first, second, other = (
        identify_caller(peer, token)
        for peer, token in (("ipv4:1", b"sesame"), ("ipv4:2", b"sesame"), ("ipv4:1", b"other"))
    )
    assert first == second != other
    assert "sesame" not in first


def test_without_a_token_the_connection_identifies_its_caller() -> None:
    assert identify_caller("ipv4:1") == identify_caller("ipv4:1") != identify_caller("ipv4:2")
