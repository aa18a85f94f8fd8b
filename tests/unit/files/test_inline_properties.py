"""Properties of short tags for any nodes and any translation, and of edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from latimer.files.markup.edits import Edit, Span, apply_edits
from latimer.files.markup.inline_codes import Atom, InlineNode, Run, Wrap, encode, keeps_codes

_TEXT = st.text("ab <&>é\u00a0\n1", max_size=6)
_RUNS = st.builds(Run, _TEXT, st.sampled_from(["", "b", "i"]))
_MARKS = st.integers(1, 10**9).map(lambda number: f"<{number}>")
_ATOMS = st.builds(
    lambda mark, kind, text: Atom((mark,), kind, text), _MARKS, st.sampled_from(["mark", "break", "text"]), _TEXT
)


def _wraps(nodes: st.SearchStrategy[InlineNode]) -> st.SearchStrategy[InlineNode]:
    return st.builds(lambda mark, inner: Wrap((mark,), ("</>",), tuple(inner)), _MARKS, st.lists(nodes, max_size=4))


_NODES = st.lists(st.recursive(st.one_of(_RUNS, _ATOMS), _wraps, max_leaves=8), max_size=6)
_TAGS = st.sampled_from(
    [
        "<g1>",
        "</g1>",
        "<g2>",
        "</g2>",
        "<x1/>",
        "<x2/>",
        '<br id="1"/>',
        '<g1 translate="no">',
        "<g1/>",
        "&amp;",
        "<",
        "a ",
    ]
)


def marks_of(nodes: Iterable[InlineNode]) -> Counter[str]:
    """Counts the sources of atoms and elements."""
    found: Counter[str] = Counter()
    for node in nodes:
        if isinstance(node, Atom):
            found.update(str(part) for part in node.parts)
        elif isinstance(node, Wrap):
            found.update(str(part) for part in node.opening)
            found += marks_of(node.nodes)
    return found


def text_of(nodes: Iterable[InlineNode]) -> str:
    return "".join(
        node.text if isinstance(node, Run) else text_of(node.nodes) if isinstance(node, Wrap) else "" for node in nodes
    )


@given(nodes=_NODES)
def test_the_text_of_a_unit_gives_its_nodes_back(nodes: list[InlineNode]) -> None:
    coded = encode(nodes)
    if coded is not None:
        assert keeps_codes(coded.text, coded.text)
        read = coded.decode(coded.text)
        assert text_of(read) == text_of(nodes)
        assert marks_of(read) == marks_of(nodes)


@given(nodes=_NODES, translation=st.lists(st.one_of(_TAGS, _TEXT), max_size=12).map("".join))
def test_any_translation_has_each_element_once(nodes: list[InlineNode], translation: str) -> None:
    coded = encode(nodes)
    if coded is not None:
        assert marks_of(coded.decode(translation)) == marks_of(nodes)


def test_an_edit_applies_within_the_span_that_another_copies() -> None:
    edits = [Edit(0, 9, ("<", Span(3, 6), ">")), Edit(4, 5, ("X",)), Edit(9, 9, ("!",)), Edit(7, 8, ("lost",))]
    assert apply_edits("abcdefghij", edits) == "<dXf>!j"
