"""What cannot be said is refused, unless somebody can take the request as it is."""

import pytest

from pointsman.errors import UnsupportedField
from pointsman.translation.objections import Objections

PDF = UnsupportedField("no PDFs", param="messages.0")
SEARCH = ("web_search", UnsupportedField("no searching", param="tools[0].type"))


def test_an_objection_refuses_the_request():
    with pytest.raises(UnsupportedField, match="no PDFs"):
        Objections().object(PDF)


def test_the_first_is_remembered_where_the_origin_could_be_asked():
    objections = Objections(lenient=True)
    objections.object(PDF)
    objections.object(SEARCH[1])

    assert (objections.only_at_origin, objections.is_plain) == ("no PDFs", False)


def test_hosted_tools_are_dropped_unless_they_are_what_is_wanted():
    objections = Objections()
    objections.hosted([SEARCH], is_wanted=False)

    assert (objections.dropped, objections.only_at_origin, objections.is_plain) == (["web_search"], "", False)
    with pytest.raises(UnsupportedField, match="no searching"):
        objections.hosted([SEARCH], is_wanted=True)


def test_without_objections_all_is_plain():
    objections = Objections()
    objections.hosted([], is_wanted=True)

    assert (objections.is_plain, objections.dropped, objections.only_at_origin) == (True, [], "")
