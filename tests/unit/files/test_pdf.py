"""PDF: text for summaries only."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError, find_format
from tests.unit.files.round_trips import make_file, open_file, read_units


def make_pdf(text: str) -> bytes:
    """Returns a PDF of one page with a line of text (ISO 32000-1, 7.5)."""
    content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    written, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    start = len(written)
    written += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return written + b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def test_each_page_is_a_unit(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "a.pdf", make_pdf("A short report.")))
    assert [(unit.text, unit.place) for unit in units] == [("A short report.", "page 1")]


def test_a_pdf_is_never_written(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.pdf", make_pdf("A short report."))
    assert not find_format(path).translates
    with (
        (tmp_path / "b.pdf").open("wb") as target,
        pytest.raises(FileError, match="read for summaries and never written"),
    ):
        open_file(path).write(target, iter(()))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "cannot be read"), (b"no pdf", "cannot be read"), (make_pdf(""), "only pictures")]
)
def test_what_has_no_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_units(make_file(tmp_path, "a.pdf", content))
