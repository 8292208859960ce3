import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest

from school_billing.auth.contracts import Caller, Role
from school_billing.auth.tokens import InvalidToken, Tokens

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-any-hash-function"
SCHOOL = UUID(int=1)
tokens = Tokens(SECRET, 60)


def claims(**changed: object) -> dict[str, object]:
    now = datetime.now(UTC)
    good = {
        "iss": "school-billing",
        "sub": "lisa",
        "role": "viewer",
        "iat": now,
        "exp": now + timedelta(minutes=1),
        "jti": "1",
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def test_a_token_names_whom_it_was_issued_to() -> None:
    assert tokens.read(tokens.issue("lisa", Role.ACCOUNTANT, SCHOOL)) == Caller("lisa", Role.ACCOUNTANT, SCHOOL)
    assert tokens.read(tokens.issue("lisa", Role.ADMIN, None)).tenant is None


def test_a_token_made_by_hand_with_the_secret_is_the_baseline() -> None:
    assert tokens.read(jwt.encode(claims(), SECRET)).username == "lisa"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"iat": datetime(2100, 1, 1, tzinfo=UTC)},
        {"iss": "somebody else"},
        {"role": "superuser"},
        {"school_id": "springfield"},
        {"school_id": 7},
        *({name: None} for name in ("iss", "sub", "role", "iat", "exp", "jti")),
    ],
    ids=str,
)
def test_a_token_with_wrong_claims_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        tokens.read(jwt.encode(claims(**changed), SECRET))


def test_a_token_of_another_key_or_algorithm_is_refused() -> None:
    for forged in (
        jwt.encode(claims(), SECRET + "!"),
        jwt.encode(claims(), SECRET, algorithm="HS384"),
        jwt.encode(claims(), None, algorithm="none"),
        "not.a.token",
        "",
    ):
        with pytest.raises(InvalidToken):
            tokens.read(forged)


def test_a_changed_payload_is_refused() -> None:
    head, _, signature = tokens.issue("lisa", Role.VIEWER, SCHOOL).split(".")
    payload = json.dumps(claims(role="admin"), default=lambda at: int(at.timestamp())).encode()
    with pytest.raises(InvalidToken):
        tokens.read(f"{head}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}")
