"""The errors of users, and which constraint of the schema means which error."""

from school_billing.auth.errors import UNKNOWN_ROLE
from school_billing.platform.web.errors import Conflict, ConstraintErrors, DuplicateId, InUse, NotFound, breaks_rule
from school_billing.schools.errors import SchoolNotFound


class UserNotFound(NotFound):
    """There is no such user. Check the id, and that you may see the user's school."""

    code = "user_not_found"


class DuplicateUsername(Conflict):
    """Another user has this username. Choose another."""

    code = "duplicate_username"
    field = "username"


class OwnAccount(Conflict):
    """You cannot change your own role or password here, or disable yourself. Ask another administrator."""

    code = "own_account"


class LastAdministrator(Conflict):
    """This is the last enabled administrator of all schools. Add or enable another one first."""

    code = "last_administrator"


class SchoolHasUsers(InUse):
    """The school has users and cannot be deleted. Disable the users instead."""


CONSTRAINT_ERRORS: ConstraintErrors = {
    "users_pkey": DuplicateId,
    "users_username_key": DuplicateUsername,
    "users_username_shape": breaks_rule("username", "must have 1 to 255 characters, in lower case"),
    "users_password_hash_is_argon2id": breaks_rule("password", "must be stored as an argon2id hash"),
    "users_role_known": UNKNOWN_ROLE,
    "users_one_administrator_stays": LastAdministrator,
    "users_school_id_fkey": SchoolNotFound,
    ("users_school_id_fkey", "schools/delete"): SchoolHasUsers,
}
