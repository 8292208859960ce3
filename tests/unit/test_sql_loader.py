import pytest

from school_billing.platform.database.sql import number_parameters
from school_billing.schools.repository import GET


def test_the_same_name_gets_the_same_number() -> None:
    assert number_parameters("select :b, :a, :b") == ("select $1, $2, $1", ("b", "a"))


def test_a_cast_is_no_parameter() -> None:
    assert number_parameters("select :a::uuid, now()::date") == ("select $1::uuid, now()::date", ("a",))


@pytest.mark.parametrize(
    "text",
    ["-- :a comment", "/* :a\n:b */", "select ':a'", "select 'it''s :a'", 'select ":a"', "'HH24:MI:SS'"],
)
def test_a_colon_in_a_comment_or_a_string_is_no_parameter(text: str) -> None:
    assert number_parameters(text) == (text, ())


def test_a_missing_and_an_unknown_value_are_told() -> None:
    with pytest.raises(TypeError, match="schools/get"):
        GET.arguments({"tenant": None})
    with pytest.raises(TypeError, match="school_id"):
        GET.arguments({"tenant": None, "skool_id": None})


def test_the_name_leads_the_text() -> None:
    assert GET.text.startswith("-- schools/get\n")
