"""Users who are logged in, without the price of a password."""

import hashlib
from uuid import UUID, uuid4

import psycopg

from school_billing.auth.contracts import Role
from school_billing.auth.tokens import Tokens

_NO_PASSWORD = "$argon2id$none"


def log_in(
    database_url: str, secret: str, role: Role, school_id: object = None, username: str = "", seconds: int = 3600
) -> str:
    """Return an access token of a user of that role and school; the user is added where there is none of that name."""
    username = username or f"{role.value}-{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as psql:
        (session_id, user_id), *_ = psql.execute(
            """
            with account as (
              insert into users (username, password_hash, role, school_id)
              values (%(username)s, %(password_hash)s, %(role)s, %(school_id)s)
              on conflict (username) do update set updated_at = users.updated_at
              returning id, session_generation
            )
            insert into sessions (user_id, generation, expires_at)
            select id, session_generation, now() + interval '1 day' from account
            returning id, user_id
            """,
            {
                "username": username,
                "password_hash": _NO_PASSWORD,
                "role": role.value,
                "school_id": None if school_id is None else str(school_id),
            },
        )
    return Tokens([secret], seconds).issue(UUID(str(user_id)), UUID(str(session_id)))


def digest(secret: str) -> bytes:
    """Return what the database keeps of a refresh token or an API key."""
    return hashlib.sha256(secret.encode()).digest()
