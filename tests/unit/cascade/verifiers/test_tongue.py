"""Whether an answer is in another language than its question."""

from __future__ import annotations

import pytest

from pointsman.cascade.verifiers.tongue import is_other_tongue

EN = "Can you tell me what the weather is like in the mountains, and how long it takes to walk to the hut that is on the map?"
DE = "Kannst du mir sagen, wie das Wetter in den Bergen ist und wie lange man zu der Hütte auf der Karte geht, die nicht weit ist?"
FR = "Le temps est beau dans les montagnes et il faut une heure pour aller à la cabane que vous avez vue sur la carte du refuge."
RU = "Погода в горах хорошая, до хижины на карте примерно час пешком."
ZH = "山里的天气很好,走到地图上的小屋大约需要一个小时,路不难走。"


@pytest.mark.parametrize(("question", "answer"), [(EN, DE), (EN, FR), (DE, EN), (EN, RU), (EN, ZH), (ZH, EN), (RU, DE)])
def test_another_language_is_noticed(question: str, answer: str):
    assert is_other_tongue(question, answer)


@pytest.mark.parametrize(("question", "answer"), [
    (EN, EN), (DE, DE), (ZH, ZH), (EN, "42"), ("", RU), ("Hi", RU), (EN, ""),
    ("Translate this into Russian: " + EN, RU), (EN + " Antworte auf Deutsch.", DE), ("How do I say this in Chinese? " + EN, ZH),
    (EN, "```python\n" + "для = 1\n" * 20 + "```"), (EN, "https://example.com/" + "и" * 100), (EN, "1234567890 " * 20),
    (EN, "In short: " + RU[:20] + " is what a Russian would say, and the rest of this is English, as was the question."),
])
def test_nothing_is_said_where_it_is_unclear_or_asked_for(question: str, answer: str):
    assert not is_other_tongue(question, answer)
