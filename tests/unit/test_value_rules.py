"""Each setting says in our words what its value must be, and what it is instead."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from latimer_server.cli.options import describe_faults
from latimer_server.config.settings import Settings, load_settings
from latimer_server.config.value_rules import describe_rule
from latimer_server.core.escaping import escape_unprintable

# Words of pydantic's messages.
FOREIGN = re.compile("input|valid |parse|unable|string|integer|boolean|literal|Value error", re.IGNORECASE)


def refuse(**given: Any) -> str:
    """Returns the message about a setting that cannot be used."""
    with pytest.raises(ValidationError) as refused:
        load_settings(None, **given)
    return describe_faults(refused.value, {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_requests": "many"}, "max_requests: is 'many'; must be a whole number of at least 1"),
        ({"max_requests": "0"}, "max_requests: is '0'; must be a whole number of at least 1"),
        ({"max_requests": 1.5}, "max_requests: is 1.5; must be a whole number of at least 1"),
        ({"max_requests": [1]}, "max_requests: is a list; must be a whole number of at least 1"),
        ({"max_streams": 5_000}, "max_streams: is 5,000; must be a whole number from 1 to 4,096"),
        ({"log_ok_share": "2"}, "log_ok_share: is '2'; must be a number from 0 to 1"),
        ({"receive_seconds": "0"}, "receive_seconds: is '0'; must be a number above 0 and of at most 2,000,000"),
        ({"admin": "perhaps"}, "admin: is 'perhaps'; must be true or false"),
        ({"device": "tpu"}, "device: is 'tpu'; must be one of auto, cpu, cuda"),
        ({"log_level": "LOUD"}, "log_level: is 'LOUD'; must be one of DEBUG, INFO, WARNING, ERROR"),
        ({"log_format": "xml"}, "log_format: is 'xml'; must be one of console, json"),
        ({"log_format": "\x1b[31m"}, "log_format: is '\\x1b[31m'; must be one of console, json"),
        ({"otlp_endpoint": "me:secret"}, "otlp_endpoint: is text; must be an address such as http://127.0.0.1:4317"),
        ({"quota_store": 5}, "quota_store: is 5; must be text"),
        ({"keys": 5}, "keys: is 5; must be the path of a file"),
        ({"models": 5}, "models: is 5; must be a list of texts"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_bound(given: dict[str, Any], message: str) -> None:
    assert refuse(**given) == message


@pytest.mark.parametrize("name", Settings.model_fields)
@pytest.mark.parametrize("value", ["\x00?", "-1e999", [], {}, object(), -1, True])
def test_no_message_is_in_the_words_of_a_library(name: str, value: object) -> None:
    try:
        load_settings(None, **{name: value})
    except ValidationError as error:
        message = describe_faults(error, {})
        assert message.startswith(f"{name}: ")
        assert not FOREIGN.search(message.removeprefix(f"{name}: ")), message
        assert message.isprintable()


def test_each_setting_has_a_rule() -> None:
    rules = {name: describe_rule(field) for name, field in Settings.model_fields.items()}
    assert all(rules.values())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("São Tomé 日本", "São Tomé 日本"),
        ("a\x1b[31m\r\nb", "a\\x1b[31m\\r\\nb"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
    ],
)
def test_controls_are_shown_as_escapes(text: str, shown: str) -> None:
    assert escape_unprintable(text) == shown
