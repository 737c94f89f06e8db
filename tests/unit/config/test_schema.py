"""The schema itself: every field says what it is for."""

import ast
import inspect

import pytest
from pydantic import ValidationError

from pointsman.config import promises, schema
from pointsman.config.learned import Classifier
from pointsman.config.secrets import Secrets


def test_every_field_is_documented():
    undocumented = []
    for cls in (*ast.parse(inspect.getsource(schema)).body, *ast.parse(inspect.getsource(promises)).body):
        if isinstance(cls, ast.ClassDef):
            for node, after in zip(cls.body, [*cls.body[1:], None], strict=True):
                is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                if isinstance(node, ast.AnnAssign) and not is_text:
                    undocumented.append(f"{cls.name}.{ast.unparse(node.target)}")

    assert undocumented == []


def test_a_secret_never_shows_in_a_repr(tmp_path):
    endpoint = schema.Endpoint.model_validate(
        {"url": "http://a/v1", "api_key": "${K}"}, context={"secrets": Secrets({"K": "s3cret"}, tmp_path)}
    )

    assert "s3cret" not in repr(endpoint)


def test_all_wrong_fields_are_found_at_once():
    with pytest.raises(ValidationError) as caught:
        schema.Server.model_validate({"port": "a", "max_depth": "b", "x": 1})

    assert {error["loc"][0] for error in caught.value.errors()} == {"port", "max_depth", "x"}


@pytest.mark.parametrize(("section", "field"), [
    (schema.Server, "huge_pages"), (schema.Route, "priors"), (schema.Judge, "usd_per_hour"), (Classifier, "sentence")])
def test_a_bare_off_is_off_although_yaml_reads_it_as_false(section, field):
    assert getattr(section.model_validate({field: False}), field) == "off"
