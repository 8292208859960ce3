import base64
import json
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest

from school_billing.auth.tokens import Claims, InvalidToken, Tokens

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-any-hash-function"
USER, SESSION = UUID(int=1), UUID(int=2)
tokens = Tokens([SECRET], 60)
KID = jwt.get_unverified_header(tokens.issue(USER, SESSION))["kid"]


def claims(**changed: object) -> dict[str, object]:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    good = {
        "iss": "school-billing",
        "aud": "school-billing-api",
        "sub": str(USER),
        "sid": str(SESSION),
        "iat": long_ago,
        "nbf": long_ago,
        "exp": datetime(2999, 1, 1, tzinfo=UTC),
        "jti": "1",
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(payload: dict[str, object], secret: str | None = SECRET, algorithm: str = "HS256", kid: object = KID) -> str:
    return jwt.encode(payload, secret, algorithm, headers={} if kid is None else {"kid": kid})


def named_in(token: Claims) -> tuple[UUID, UUID]:
    return token.user_id, token.session_id


def test_a_token_names_its_user_and_its_session() -> None:
    assert named_in(tokens.read(tokens.issue(USER, SESSION))) == (USER, SESSION)


def test_a_token_signed_by_the_test_is_accepted() -> None:
    assert named_in(tokens.read(signed(claims()))) == (USER, SESSION)


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"iat": datetime(2100, 1, 1, tzinfo=UTC)},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
        {"iss": "somebody else"},
        {"aud": "somebody else"},
        {"sub": "lisa"},
        {"sid": "yesterday"},
        *({name: None} for name in ("iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti")),
    ],
    ids=str,
)
def test_a_token_with_wrong_claims_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        tokens.read(signed(claims(**changed)))


@pytest.mark.parametrize(
    "forged",
    [
        signed(claims(), SECRET + "!"),
        signed(claims(), algorithm="HS384"),
        signed(claims(), None, "none"),
        signed(claims(), kid=None),
        signed(claims(), kid="0123456789abcdef"),
        "not.a.token",
        "",
        "a.b",
        "\x00",
    ],
    ids=["another key", "another algorithm", "none", "no key id", "another key id", "words", "nothing", "two", "nul"],
)
def test_a_token_of_another_key_or_algorithm_is_refused(forged: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.read(forged)


def test_a_token_expires_after_the_leeway_for_clocks() -> None:
    just_now, long_ago = (datetime.now(UTC) - timedelta(seconds=seconds) for seconds in (1, 10))
    assert named_in(tokens.read(signed(claims(exp=just_now)))) == (USER, SESSION)
    with pytest.raises(InvalidToken):
        tokens.read(signed(claims(exp=long_ago)))


def test_a_changed_payload_is_refused() -> None:
    head, _, signature = tokens.issue(USER, SESSION).split(".")
    payload = json.dumps(claims(sub=str(UUID(int=7))), default=lambda at: int(at.timestamp())).encode()
    with pytest.raises(InvalidToken):
        tokens.read(f"{head}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}")


def test_replacing_a_secret_invalidates_no_token() -> None:
    old, new = SECRET, SECRET[::-1]
    both = Tokens([new, old], 60)
    assert named_in(both.read(tokens.issue(USER, SESSION))) == (USER, SESSION)
    newest = both.issue(USER, SESSION)
    assert named_in(Tokens([new], 60).read(newest)) == (USER, SESSION)
    with pytest.raises(InvalidToken):
        tokens.read(newest)
    with pytest.raises(InvalidToken):
        Tokens([new], 60).read(tokens.issue(USER, SESSION))


def test_a_remembered_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    some = Tokens([SECRET], 60)
    token = some.issue(USER, SESSION)
    assert named_in(some.read(token)) == (USER, SESSION)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)  # The leeway is 5 seconds more.
    assert named_in(some.read(token)) == (USER, SESSION)
    monkeypatch.setattr(time, "time", lambda: now + 66)
    with pytest.raises(InvalidToken):
        some.read(token)


def test_the_number_of_remembered_tokens_is_bounded() -> None:
    some = Tokens([SECRET], 60)
    for _ in range(4_200):
        some.read(some.issue(USER, SESSION))
    assert some._verified.cache_info().currsize <= 4_096
