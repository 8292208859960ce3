from typing import Any

import argon2
import pytest

from school_billing.auth import passwords
from school_billing.auth.hashing import password_matches, rehash_if_outdated
from school_billing.platform.password_rules import password_problem


@pytest.mark.parametrize(
    "password", ["correct horse battery", "x7Kq-2mNw-91", "пароль от сервера", "correct horse " * 9]
)
def test_a_long_password_that_nobody_else_has_is_fine(password: str) -> None:
    assert password_problem("lisa", password) is None


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "12 to 128"),
        ("eleven char", "12 to 128"),
        ("ab" * 65, "12 to 128"),
        ("Lisa@Springfield.Example", "username"),
        ("1q2w3e4r5t6y", "common"),
        ("Password1234", "common"),
        ("!!Password2026!!", "common"),
        ("welcome12345", "common"),
        ("qwertyuiop123", "common"),
        ("dragondragon", "common"),
        ("123456123456", "common"),
        ("1k1k1k1k1k1k", "different"),
        ("lisa20262026", "username"),
        ("lisalisalisa", "username"),
        ("passwordpasswordpassword", "common"),
        ("letmein letmein", "common"),
        ("dragondragon1", "common"),
        ("123456789012", "common"),
        ("987654321098", "common"),
        ("P@ssw0rd12345", "common"),
        ("lisa2026lisa2026", "username"),
        ("abcdefghijkl", "common"),
        ("qwertyuiopas", "common"),
        ("\uff30\uff21\uff33\uff33\uff37\uff2f\uff32\uff241234", "common"),
        ("xyzxyzxyzxyz", "common"),
    ],
)
def test_a_password_that_is_tried_first_is_refused(password: str, reason: str) -> None:
    assert reason in (password_problem("lisa@springfield.example", password) or "")


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = list[argon2.Parameters]()

    class Watched:
        def verify(self, hash_: str, password: str) -> bool:
            verified.append(argon2.extract_parameters(hash_))
            return argon2.PasswordHasher().verify(hash_, password)

    stored = passwords.hash_password("correct horse battery")
    monkeypatch.setattr(passwords, "_hasher", Watched())
    assert not await password_matches(stored, "wrong")
    assert not await password_matches(None, "wrong")
    assert await password_matches(stored, "correct horse battery")
    assert len(verified) == 3
    assert verified == [verified[0]] * 3


async def test_a_hash_of_weaker_parameters_is_replaced_and_one_of_todays_is_not() -> None:
    weak: Any = argon2.PasswordHasher(time_cost=1, memory_cost=64)
    old = weak.hash("correct horse battery")
    new = await rehash_if_outdated(old, "correct horse battery")
    assert new is not None
    assert await password_matches(new, "correct horse battery")
    assert await rehash_if_outdated(new, "correct horse battery") is None


async def test_a_password_is_the_same_from_every_keyboard() -> None:
    composed, decomposed = "caf\u00e9 au lait noir", "cafe\u0301 au lait noir"
    assert await password_matches(passwords.hash_password(composed), decomposed)
