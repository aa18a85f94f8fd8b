"""A label that a model leaves as it is keeps its access keys where they were."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.software_strings import find_access_key, restore_access_key


@pytest.mark.parametrize("label", ["Save &as", "S&ave As &All", "A0A\x08&A", "Datei _als ..."])
def test_keys_of_a_copied_label_stay_even_where_their_letter_comes_twice(label: str) -> None:
    source = ProtectedText(label)
    copied = ProtectedText(apply_edits(label, list(find_access_key(source)))[0])
    assert apply_edits(copied.text, list(restore_access_key(source, copied)))[0] == label
