import asyncio
import threading
from typing import Any

import argon2
import pytest

from school_billing.auth import passwords
from school_billing.auth.errors import TooBusy
from school_billing.auth.hashing import BoundedQueue, password_matches, rehash_if_outdated
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


async def test_a_flood_of_log_ins_is_turned_away_and_not_kept_waiting() -> None:
    turns = BoundedQueue(at_once=2, waiting_most=3, waiting_most_of_one=2)
    may_end = threading.Event()
    work = [asyncio.create_task(turns.take(str(number), may_end.wait)) for number in range(10)]
    await asyncio.sleep(0)
    refused = [task for task in work if task.done()]
    assert len(refused) == 5  # 2 at work, 3 waiting
    for task in refused:
        with pytest.raises(TooBusy):
            await task
    may_end.set()
    assert [await task for task in work if task not in refused] == [True] * 5
    assert await turns.take("9", lambda: "free again") == "free again"


async def test_one_address_does_not_fill_the_queue() -> None:
    turns = BoundedQueue(at_once=1, waiting_most=4, waiting_most_of_one=2)
    may_end = threading.Event()
    flood = [asyncio.create_task(turns.take("flood", may_end.wait)) for _ in range(6)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in flood) == 3  # 1 at work, 2 waiting
    other = asyncio.create_task(turns.take("other", may_end.wait))
    await asyncio.sleep(0)
    assert not other.done()
    may_end.set()
    assert await other
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(result, TooBusy) for result in results) == 3
