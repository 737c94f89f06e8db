"""Words and pairs as buckets."""

import numpy as np

from pointsman.classify.heads import ngrams


def buckets(text: str) -> set[int]:
    return set(ngrams.ids(text.encode())[0].tolist())


def test_case_and_runs_of_spaces_say_nothing():
    assert buckets("Where  IS my\norder") == buckets("where is my order")


def test_a_number_is_known_by_its_count_of_digits():
    assert buckets("pay 123 now") == buckets("pay 987 now") != buckets("pay 12 now")


def test_pairs_tell_the_order_of_words():
    assert buckets("dog bites man") != buckets("man bites dog")


def test_a_mark_pairs_with_nothing():
    assert buckets("yes . no") == buckets("no . yes")


def test_a_bucket_is_counted_as_often_as_it_occurs():
    ids, counts = ngrams.ids(b"la la la")

    assert sorted(counts.tolist()) == [2, 3]  # the pair twice, the word three times
    assert ids.tolist() == sorted(ids.tolist())


def test_a_script_without_spaces_gives_its_characters():
    assert buckets("天气") & buckets("好天气") == buckets("天气")


def test_nothing_gives_nothing():
    assert len(ngrams.ids(b"")[0]) == len(ngrams.ids(b" \n\t")[0]) == 0


def test_of_a_long_text_the_two_ends_are_read():
    middle = b" lost " * 5000

    assert len(ngrams.window(b"a" * 5000 + middle + b"z" * 5000)) <= ngrams.HEAD + ngrams.TAIL + 1
    assert np.array_equal(ngrams.ids(b"a " * 2000 + middle + b"z " * 2000)[0], ngrams.ids(b"a " * 2000 + b"z " * 2000)[0])


def test_the_buckets_of_a_sentence_are_as_they_were():
    """An artifact's weights lie at these places."""
    assert ngrams.ids(b"What is 2 + 2?")[0].tolist() == EXPECTED


EXPECTED = [16311, 25656, 33225, 33528, 42900, 49436, 61013]
