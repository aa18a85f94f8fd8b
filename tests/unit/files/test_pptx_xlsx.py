"""PPTX and XLSX."""

from __future__ import annotations

from pathlib import Path

from tests.unit.files.documents import read_member, read_texts, read_units, translate_file
from tests.unit.files.packages import write_pptx, write_xlsx

BOLD = '<a:rPr lang="en-US" b="1" dirty="0"/>'


def slide(*content: str) -> str:
    return f'<a:p><a:pPr lvl="1"/>{"".join(content)}<a:endParaRPr lang="en-US"/></a:p>'


def run(text: str, properties: str = '<a:rPr lang="en-US"/>') -> str:
    return f"<a:r>{properties}<a:t>{text}</a:t></a:r>"


def test_slides_come_in_the_order_of_the_presentation(tmp_path: Path) -> None:
    path = write_pptx(tmp_path / "a.pptx", slide(run("First")), slide(run("Second")), slide(run("Third")))
    assert [(unit.text, unit.place) for unit in read_units(path)] == [
        ("First", "slide 1, paragraph 1"),
        ("Second", "slide 2, paragraph 1"),
        ("Third", "slide 3, paragraph 1"),
    ]


def test_a_paragraph_of_a_slide_is_written_between_its_properties(tmp_path: Path) -> None:
    field = '<a:fld id="{1}" type="slidenum"><a:rPr/><a:t>4</a:t></a:fld>'
    content = run("The ", BOLD) + run("plain text", "<a:rPr/>") + "<a:br/>" + run("of page ") + field
    path = write_pptx(tmp_path / "a.pptx", slide(content))
    [text] = read_texts(path)
    assert text == '<g1>The</g1> plain text<br id="2"/>of page <g3 translate="no">4</g3>'
    written = translate_file(path, lambda _: 'O <g1>tal</g1> texto<br id="2"/>da <g3 translate="no">4</g3>')
    plain = "<a:r><a:t>{}</a:t></a:r>"
    bold = '<a:r><a:rPr b="1"/><a:t>tal</a:t></a:r>'
    runs = plain.format("O ") + bold + plain.format(" texto") + "<a:br/>" + plain.format("da ") + field
    assert slide(runs) in read_member(written, "ppt/slides/slide1.xml")


def test_the_same_texts_leave_a_presentation_as_it_is(tmp_path: Path) -> None:
    path = write_pptx(tmp_path / "a.pptx", slide(run("One "), run("two", BOLD)), slide(run("Three")))
    assert translate_file(path) == path.read_bytes()


RICH = (
    '<si><r><t xml:space="preserve">Total of </t></r><r><rPr><b/></rPr><t>all</t></r>'
    '<r><t xml:space="preserve"> sales</t></r><rPh sb="0" eb="1"><t>x</t></rPh></si>'
)


def test_strings_of_cells_are_units_but_no_numbers(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", "<si><t>Price</t></si><si><t>12.50</t></si><si><t/></si>" + RICH)
    assert read_texts(path) == ["Price", "Total of <g1>all</g1> sales"]
    written = translate_file(path, lambda unit: "Preço & mais" if unit.text == "Price" else "<g1>Todas</g1> as vendas")
    strings = read_member(written, "xl/sharedStrings.xml")
    assert "<si><t>Preço &amp; mais</t></si><si><t>12.50</t></si><si><t/></si>" in strings
    assert '<si><r><rPr><b/></rPr><t>Todas</t></r><r><t xml:space="preserve"> as vendas</t></r></si>' in strings


def test_inline_strings_are_units_but_no_results_of_formulas(tmp_path: Path) -> None:
    row = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Inline words</t></is></c>'
        '<c r="B1" t="str"><f>UPPER("x")</f><v>Result</v></c><c r="C1"><v>3</v></c></row>'
    )
    path = write_xlsx(tmp_path / "a.xlsx", "", row)
    assert [(unit.text, unit.place) for unit in read_units(path)] == [("Inline words", "sheet1.xml, cell A1")]
    assert "<is><t>Palavras</t></is>" in read_member(
        translate_file(path, lambda _: "Palavras"), "xl/worksheets/sheet1.xml"
    )


def test_headers_of_tables_stay_since_formulas_name_them(tmp_path: Path) -> None:
    strings = "<si><t>Name</t></si><si><t>Place</t></si><si><t>Some words</t></si>"
    row = '<row r="{0}"><c r="A{0}" t="s"><v>{1}</v></c><c r="B{0}" t="s"><v>{2}</v></c></row>'
    path = write_xlsx(tmp_path / "a.xlsx", strings, row.format(1, 0, 1) + row.format(2, 2, 2), table="A1:B2")
    assert read_texts(path) == ["Some words"]


def test_escaped_characters_of_strings_are_read_and_written(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", "<si><t>a_x0041_ word _x005F_x0042_</t></si>")
    assert read_texts(path) == ["aA word _x0042_"]
    strings = read_member(translate_file(path, lambda unit: unit.text + "\nnew"), "xl/sharedStrings.xml")
    assert '<si><t xml:space="preserve">aA word _x005F_x0042_\nnew</t></si>' in strings


def test_the_same_texts_leave_a_workbook_as_it_is(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", "<si><t>Price</t></si>" + RICH)
    assert translate_file(path) == path.read_bytes()
