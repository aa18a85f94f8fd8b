"""Characters of a message: code points of the contents, times the target languages."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from latimer.v1 import models_pb2, summarization_pb2
from latimer.v1 import translation_pb2 as pb
from latimer_server.rpc.quotas.characters import CharacterCounter

CONTENTS = ["abc", "", "\U0001f600"]


@pytest.mark.parametrize(
    ("message", "characters"),
    [
        (pb.TranslateTextRequest(contents=CONTENTS, target_language_codes=["pt"], model="m"), 4),
        (pb.TranslateTextRequest(contents=CONTENTS, target_language_codes=["pt", "de", "fr"]), 12),
        (pb.TranslateTextRequest(contents=CONTENTS), 4),
        (pb.DetectLanguageRequest(contents=CONTENTS, candidate_language_codes=["en", "de"]), 4),
        (summarization_pb2.SummarizeTextRequest(contents=CONTENTS, language_code="en"), 4),
        (pb.ListLanguagePairsRequest(source_language_code="en"), 0),
        (models_pb2.GetModelRequest(name="firefox"), 0),
    ],
)
def test_the_characters_of_a_request(message: Message, characters: int) -> None:
    assert CharacterCounter().count(message) == characters


def test_a_stream_counts_the_target_languages_of_its_first_message() -> None:
    counter = CharacterCounter()
    config = pb.StreamTranslateTextConfig(target_language_codes=["pt", "de"])
    items = [pb.StreamItem(item_id="name", content="abc")] * 2
    messages = [pb.StreamTranslateTextRequest(config=config), pb.StreamTranslateTextRequest(items=items)]
    assert [counter.count(message) for message in messages] == [0, 12]


def test_an_item_of_a_stream_without_text_counts_as_one_character() -> None:
    counter = CharacterCounter()
    config = pb.StreamTranslateTextConfig(target_language_codes=["pt", "de"])
    items = [pb.StreamItem(item_id="name"), pb.StreamItem(content="abc")]
    assert counter.count(pb.StreamTranslateTextRequest(config=config, items=items)) == 8


def test_a_message_of_an_unknown_type_counts_with_all_its_texts() -> None:
    message = Struct()
    message.update({"a": "bcd", "list": ["e", {"f": "gh"}], "number": 7.0})
    assert CharacterCounter().count(message) >= len("bcd" + "e" + "gh")
