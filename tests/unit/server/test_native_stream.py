"""Streams on their way through: the same data, framed, and an end where none came."""

import json

from pointsman.server.native_stream import MessagesAsTheyAre, ResponseAsItIs, framed


def test_every_event_has_its_name():
    stream = MessagesAsTheyAre()

    assert stream.feed([b'{"type":"ping"}', b'{ "type" : "new", "x":1e2}']) == (
        b'event: ping\ndata: {"type":"ping"}\n\nevent: new\ndata: { "type" : "new", "x":1e2}\n\n')


def test_a_message_that_was_not_stopped_is():
    stream = MessagesAsTheyAre()
    assert stream.finish() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    stream.feed([b'{"type":"message_stop"}'])
    assert stream.finish() == b""


def test_data_of_several_lines_and_without_a_name():
    assert framed("", b"{}") == b"data: {}\n\n"
    assert framed("a\nb", b"{}") == b"data: {}\n\n"
    assert framed("a", b"{\n}") == b"event: a\ndata: {\ndata: }\n\n"


def last(data):
    return json.loads(data.decode().rstrip().rpartition("data: ")[2])


def test_a_response_that_breaks_fails_with_the_next_number():
    stream = ResponseAsItIs()
    stream.feed([b'{"type":"response.created","sequence_number":0,"response":{"id":"r","status":"in_progress"}}',
                 b'{"type":"x.delta","sequence_number":1}'])
    failed = last(stream.fail({"code": "stalled", "message": "gone", "record_id": "1"}))

    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 2)
    assert failed["response"] == {"id": "r", "status": "failed", "error": {"code": "stalled", "message": "gone", "record_id": "1"}}
    assert stream.end() == b""


def test_without_numbers_and_without_a_beginning_there_is_still_an_end():
    assert last(ResponseAsItIs().fail({"message": "gone"}))["sequence_number"] == 0
    stream = ResponseAsItIs()
    stream.feed([b'{"type":"a"}', b'{"type":"b"}'])
    assert last(stream.fail({"message": "gone"}))["sequence_number"] == 2
