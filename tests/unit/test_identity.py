"""Records are compared by what they mean."""

import json

import pytest

from marginalia.identity import AtDefault, chosen, digest, plain, same, same_text, settled, text


def stored(record):
    return json.loads(text(record))


def test_a_setting_at_its_default_is_the_same_as_none():
    defaults = {"momentum": 0.9, "clip": None, "norms": (2, float("inf"))}
    given = {"rate": 1, "norms": [2, float("inf")]}
    record = settled(given, defaults)
    assert record == {
        "rate": 1,
        "norms": AtDefault([2, float("inf")]),
        "momentum": AtDefault(0.9),
        "clip": AtDefault(None),
    }
    assert same(record, stored(record)) and same(record, {"rate": 1}) and chosen(record) == {"rate": 1}
    assert same(record, stored(settled({"rate": 1, "momentum": 0.9}, defaults)))


def test_a_default_that_has_changed_since_is_a_difference():
    before = stored(settled({"rate": 1}, {"momentum": 0.9}))
    assert not same(settled({"rate": 1}, {"momentum": 0.8}), before)
    assert same(settled({"rate": 1, "momentum": 0.9}, {"momentum": 0.8}), before)


def test_a_setting_that_came_later_is_no_difference_until_it_is_used():
    before = stored(settled({"rate": 1}, {}))
    assert same(settled({"rate": 1}, {"nesterov": False}), before)
    assert not same(settled({"rate": 1, "nesterov": True}, {"nesterov": False}), before)


@pytest.mark.parametrize(
    ("expected", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "gone": 3}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": {"b": 1}}, {"a": 1}),
        ({"a": 1}, None),
    ],
)
def test_differences_are_seen(expected, other):
    assert not same(expected, other)


def test_records_within_records():
    record = {"changes": [{"name": "subset", "settings": settled({"train": 5}, {"seed": 0})}]}
    assert same(record, {"changes": [{"name": "subset", "settings": {"train": 5}}]})
    assert plain(record) == {"changes": [{"name": "subset", "settings": {"train": 5, "seed": 0}}]}
    assert chosen({"settings": settled({"a": {"b": 1}}, {"c": 2})}) == {"settings": {"a": {"b": 1}}}


def test_text_and_digest_do_not_depend_on_the_order_of_keys():
    assert text({"a": 1, "b": (2, 3)}) == text({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) == digest({"a": AtDefault(1)}) != digest({"a": 2})


def test_what_is_no_record_is_not_the_same():
    assert not same_text({"a": 1}, None) and not same_text({"a": 1}, "{") and same_text({"a": 1}, '{"a": 1}')
