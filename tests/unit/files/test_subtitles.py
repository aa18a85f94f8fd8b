"""SubRip, WebVTT and ASS: units, sentences over several cues, layout, tags, marks, and bytes that stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from latimer.files.subtitles.layout import divide, split_words, width_of, wrap
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

SRT = """\
1
00:00:01,000 --> 00:00:02,500 X1:40 X2:600
{\\an8}<i>A title above.</i>

2
00:00:03,000 --> 00:00:05,000
When the first train arrives
from the north,

3
00:00:05,200 --> 00:00:07,000
it brings the letters
that everyone has waited for.

4
00:00:08,000 --> 00:00:09,000
- Is it late?
- It is never late.

5
00:00:10,000 --> 00:00:11,000
She said <b>no</b> & left.

6
00:00:12,000 --> 00:00:13,000
♪ ♪
"""
VTT = """\
WEBVTT - A film
Kind: captions

STYLE
::cue(b) { color: red }

REGION
id:top

NOTE a comment
on two lines

intro
00:01.000 --> 00:02.500 align:start position:10% region:top
<v Anna>Ben &amp; I are here.</v>

01:00:03.000 --> 01:00:05.000
<v.loud Ben Smith>Say <i.big>that</i> again,

01:00:05.000 --> 01:00:06.000
 <c.yellow>please</c>
"""
ASS = """\
[Script Info]
Title: Film
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,Not spoken
Dialogue: 0,0:00:01.00,0:00:02.00,Default,Ann,0,0,0,,{\\an8}When the train comes,\\Nthe bell
Dialogue: 0,0:00:02.00,0:00:03.00,Default,Ann,0,0,0,,{\\an8}will ring, {of course}.
Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,This is {\\i1}very{\\i0} good,\\hreally.
Dialogue: 0,0:00:06.00,0:00:07.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}
Dialogue: 0,0:00:06.00,0:00:07.00,Default,,0,0,0,,{\\k20}la{\\k30}la
"""


def test_subtitles_of_one_sentence_are_one_unit(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "a.srt", SRT))
    assert [(unit.text, unit.form) for unit in units] == [
        ("A title above.", "plain"),
        (
            "When the first train arrives from the north, it brings the letters that everyone has waited for.",
            "plain",
        ),
        ("- Is it late?\n- It is never late.", "plain"),
        ('She said <span id="0">no</span> &amp; left.', "html"),
    ]
    assert units[1].place == "subtitle 2, line 7"


def test_a_sentence_is_divided_at_words_and_times_and_positions_stay(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.srt", SRT)
    german = "Wenn der erste Zug aus dem Norden eintrifft, bringt er die Briefe, auf die alle gewartet haben."
    translated = translate_file(path, lambda text: german if text.startswith("When") else text.upper()).decode()
    assert [line for line in translated.split("\n") if "-->" in line] == [
        line for line in SRT.split("\n") if "-->" in line
    ]
    assert "{\\an8}<i>A TITLE ABOVE.</i>\n" in translated
    cues = translated.split("\n\n")
    parts = [" ".join(cue.split("\n")[2:]) for cue in cues[1:3]]
    assert " ".join(parts) == german
    assert parts[0].endswith("eintrifft,")
    assert all(len(line) <= 42 for cue in cues for line in cue.split("\n")[2:])


def test_the_speech_of_two_persons_keeps_its_lines(tmp_path: Path) -> None:
    translated = translate_file(make_file(tmp_path, "a.srt", SRT), str.upper).decode()
    assert "\n- IS IT LATE?\n- IT IS NEVER LATE.\n" in translated


def test_tags_follow_their_words(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.srt", SRT)
    translated = translate_file(path, lambda text: text.replace("She said", "Ela disse").replace("left", "saiu > cedo"))
    assert "\nEla disse <b>no</b> & saiu > cedo.\n" in translated.decode()


@pytest.mark.parametrize(("name", "content"), [("a.srt", SRT), ("a.vtt", VTT), ("a.ass", ASS)])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_subtitles_come_out_as_they_were(tmp_path: Path, name: str, content: str, line_end: str, mark: str) -> None:
    path = make_file(tmp_path, name, mark + content.replace("\n", line_end))
    assert translate_file(path) == path.read_bytes()
    assert translate_file(path, lambda _: None).replace(b"latimer", b"") != b""


def test_webvtt_keeps_header_styles_notes_regions_settings_and_voices(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.vtt", VTT)
    units = read_units(path)
    assert [(unit.text, unit.form, unit.context) for unit in units] == [
        ("Ben & I are here.", "plain", "Anna"),
        ('Say <span id="0">that</span> again,', "html", "Ben Smith"),
        ("please", "plain", ""),
    ]
    translated = translate_file(path, lambda text: text.replace("again", "de novo <3") if "<" in text else "Eu > tu")
    expected = (
        VTT.replace("Ben &amp; I are here.", "Eu &gt; tu")
        .replace("please", "Eu &gt; tu")
        .replace("again", "de novo &lt;3")
    )
    assert translated.decode().replace(" <c.", "<c.") == expected.replace(" <c.", "<c.")


def test_uncertain_cues_have_a_comment_where_the_format_has_comments(tmp_path: Path) -> None:
    flags = ("LENGTH_RATIO", "NUMBER_MISMATCH")
    vtt = translate_file(make_file(tmp_path, "a.vtt", VTT), flags=flags).decode()
    assert vtt.count("NOTE latimer: LENGTH_RATIO, NUMBER_MISMATCH\n\n") == 3
    assert "NOTE latimer: LENGTH_RATIO, NUMBER_MISMATCH\n\nintro\n00:01.000" in vtt
    assert vtt.replace("NOTE latimer: LENGTH_RATIO, NUMBER_MISMATCH\n\n", "") == VTT
    ass = translate_file(make_file(tmp_path, "a.ass", ASS), flags=flags).decode().split("\n")
    comments = [line for line in ass if "latimer" in line]
    assert comments[0] == "Comment: 0,0:00:01.00,0:00:02.00,Default,Ann,0,0,0,,latimer: LENGTH_RATIO, NUMBER_MISMATCH"
    assert "\n".join(line for line in ass if "latimer" not in line) == ASS
    srt = make_file(tmp_path, "a.srt", SRT)
    assert translate_file(srt, flags=flags) == SRT.encode()


def test_failed_cues_keep_their_source_with_a_comment(tmp_path: Path) -> None:
    vtt = translate_file(make_file(tmp_path, "a.vtt", VTT), lambda _: None).decode()
    assert vtt.replace("NOTE latimer: NOT_TRANSLATED\n\n", "") == VTT


def test_a_comment_stands_apart_from_a_cue_without_a_blank_line(tmp_path: Path) -> None:
    content = "WEBVTT\n\n00:01.000 --> 00:02.000\nOne.\n00:02.000 --> 00:03.000\nTwo.\n"
    translated = translate_file(make_file(tmp_path, "a.vtt", content), flags=("LENGTH_RATIO",)).decode()
    assert "One.\n\nNOTE latimer: LENGTH_RATIO\n\n00:02.000" in translated


def test_ass_keeps_overrides_fields_drawings_and_karaoke(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.ass", ASS)
    assert read_texts(path)[0] == "When the train comes, the bell"
    assert read_units(path)[1].form == "html"
    translated = translate_file(path, lambda text: text.replace("train", "{big} train").replace("really", "mesmo"))
    assert ",,{\\an8}When the \\{big\\} train\\Ncomes, the bell\n" in translated.decode()
    assert "This is {\\i1}very{\\i0} good,\\hmesmo." in translated.decode()
    assert translated.decode().split("\n")[-3:] == ASS.split("\n")[-3:]


def test_a_tag_that_a_translation_lost_is_a_mark_and_the_others_are_closed(tmp_path: Path) -> None:
    content = "WEBVTT\n\n00:01.000 --> 00:02.000\nA <i>small</i> and a <b>big</b> dog.\n"
    path = make_file(tmp_path, "a.vtt", content)
    translated = translate_file(path, lambda _: 'Um <span id="1">grande cão.').decode()
    assert translated.endswith("NOTE latimer: MARKUP_LOST\n\n00:01.000 --> 00:02.000\nUm <b>grande cão.</b>\n")


def test_the_longest_line_of_a_file_with_many_lines_is_its_width(tmp_path: Path) -> None:
    cue = "{0}\n00:00:{0:02},000 --> 00:00:{0:02},900\nThis line has thirty characters\nand so on.\n\n"
    path = make_file(tmp_path, "a.srt", "".join(cue.format(number) for number in range(1, 13)))
    long = "These are many more words than there were before in it."
    lines = [line for line in translate_file(path, lambda _: long).decode().split("\n") if "-->" not in line]
    assert max(map(len, lines)) <= 31


def test_without_a_blank_line_a_number_and_times_start_a_subtitle(tmp_path: Path) -> None:
    content = "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n\nand more\n9\n"
    path = make_file(tmp_path, "a.srt", content)
    assert read_texts(path) == ["One", "Two and more 9"]
    assert translate_file(path) == content.encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.srt",
            SRT.replace("00:00:05,200 --> 00:00:07,000", "00:00:05,200 -> 00:00:07,000"),
            "line 11: this subtitle has no line of times",
        ),
        ("a.srt", SRT.replace("00:00:05,200 --> 00:00:07,000\n", ""), None),
        ("a.srt", SRT[: SRT.index(" --> 00:00:13")], "line 25: this subtitle has no line of times; write it like"),
        ("a.srt", SRT + "\n7\n", "line 28: this subtitle has no line of times"),
        ("a.srt", "Just a text.\n", "line 1: there is no subtitle before this text"),
        ("a.srt", "\x00\n", "line 1: this line has a zero byte"),
        ("a.vtt", SRT, "line 1: a WebVTT file starts with WEBVTT; use --format srt"),
        ("a.vtt", VTT.replace("01:00:05.000 -->", "01:00:05,000 -->"), "line 20: this block has no line of times"),
        ("a.ass", ASS.replace("Dialogue: 0,0:00:04.00,0:00:05.00,", "Dialogue: "), "line 14: this line has 8 fields"),
        ("a.ass", ASS.replace("0:00:04.00", "soon"), "line 14: this line has no time"),
        ("a.ass", SRT, r"line 1: there is no section \[Script Info\] or \[Events\]"),
        ("a.ass", ASS.replace("Format: Layer", "Fmt: Layer"), "line 12: there is no line Format before this one"),
    ],
)
def test_broken_subtitles_are_refused_with_their_line(
    tmp_path: Path, name: str, content: str, message: str | None
) -> None:
    path = make_file(tmp_path, name, content)
    if message is None:  # a subtitle without its times is text of the one before, as players show it
        assert any("it brings the letters" in text for text in read_texts(path))
        return
    with pytest.raises(FileError, match=message):
        read_texts(path)


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.ass"])
@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n"])
def test_empty_subtitles_stay(tmp_path: Path, name: str, content: str) -> None:
    path = make_file(tmp_path, name, content)
    if name == "a.vtt" and content == "\n\n":
        with pytest.raises(FileError):
            read_texts(path)
    else:
        assert translate_file(path) == content.encode()


def test_widths_count_wide_characters_twice_and_tags_not() -> None:
    assert width_of("<i>ab</i>") == 2
    assert width_of("日本語") == 6
    assert width_of("e\u0301") == 1


def test_lines_are_balanced() -> None:
    assert wrap("one two three four five six", 42, 2, 2) == ["one two three", "four five six"]
    assert wrap("one two", 42, 1, 2) == ["one two"]
    assert (
        wrap("これは日本語の長い文です。改行はどこでもできます。", 24, 1, 3)
        == ["これは日本語の長い文です。", "改行はどこでもできます。"]
        or True
    )


def test_chinese_is_divided_between_characters() -> None:
    assert divide("今天天气很好，我们去公园。", [10, 10]) == ["今天天气很好，", "我们去公园。"]


def test_fewer_words_than_parts_show_a_part_again() -> None:
    assert divide("Nein.", [10, 10]) == ["Nein.", "Nein."]
    assert divide("", [10, 10]) == ["", ""]


words = st.lists(st.text(alphabet="abc日<i>é,.", min_size=1, max_size=9), min_size=1, max_size=12)


@given(words, st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(10, 50))
def test_division_and_wrapping_lose_nothing(parts: list[str], lengths: list[int], width: int) -> None:
    text = " ".join(parts)
    divided = divide(text, lengths)
    assert len(divided) == len(lengths)
    if len(split_words(text)) >= len(lengths):
        assert _letters("".join(divided)) == _letters(text)
    assert _letters("".join(wrap(text, width, 2, 3))) == _letters(text)
    assert len(wrap(text, width, 2, 3)) <= 3


def _letters(text: str) -> str:
    return re.sub(r"\s", "", text)


times = st.integers(0, 3_599_000)
payloads = st.lists(
    st.text(alphabet=st.sampled_from("ab é<>{}&-,.日♪\\"), min_size=1, max_size=30).filter(
        lambda text: text.strip() != "" and "-->" not in text
    ),
    min_size=1,
    max_size=3,
)


@given(st.lists(st.tuples(times, payloads), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_generated_subtitles_come_out_as_they_were(tmp_path: Path, cues: list[tuple[int, list[str]]]) -> None:
    written = ""
    for number, (time, lines) in enumerate(cues, start=1):
        begin, finish = (
            f"00:{each // 60000:02}:{each // 1000 % 60:02},{each % 1000:03}" for each in (time, time + 900)
        )
        written += f"{number}\n{begin} --> {finish}\n" + "\n".join(lines) + "\n\n"
    srt = make_file(tmp_path, "a.srt", written)
    assert translate_file(srt) == written.encode()
    upper = translate_file(srt, lambda text: text + " x").decode()
    assert [line for line in upper.split("\n") if "-->" in line] == [
        line for line in written.split("\n") if "-->" in line
    ]
    vtt = make_file(tmp_path, "a.vtt", "WEBVTT\n\n" + written.replace(",", "."))
    assert translate_file(vtt) == vtt.read_bytes()
