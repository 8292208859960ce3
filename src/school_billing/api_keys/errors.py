"""The errors of API keys, and which constraint of the schema means which error."""

from school_billing.auth.errors import UNKNOWN_ROLE
from school_billing.platform.web.errors import Conflict, ConstraintErrors, DuplicateId, InUse, NotFound, not_plain
from school_billing.schools.errors import SchoolNotFound


class ApiKeyNotFound(NotFound):
    """There is no such API key. Check the id, and that you may see its school."""

    code = "api_key_not_found"


class DuplicateName(Conflict):
    """The school already uses a key with this name. Choose another name, or revoke that key."""

    code = "duplicate_name"
    field = "name"


class SchoolHasApiKeys(InUse):
    """The school has API keys and cannot be deleted. Revoke the keys instead."""


CONSTRAINT_ERRORS: ConstraintErrors = {
    "api_keys_pkey": DuplicateId,
    "api_keys_key_hash_key": DuplicateId,
    "api_keys_name_key": DuplicateName,
    "api_keys_name_plain": not_plain("name", 100),
    "api_keys_role_known": UNKNOWN_ROLE,
    "api_keys_school_id_fkey": SchoolNotFound,
    ("api_keys_school_id_fkey", "schools/delete"): SchoolHasApiKeys,
}
