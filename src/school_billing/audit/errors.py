"""The errors of the audit trail. Only SQL written by hand can meet one."""

from functools import partial

from school_billing.platform.web.errors import Conflict, ConstraintErrors, DuplicateId


class AuditTrailProtected(Conflict):
    """The audit trail can only be added to. Leave its entries as they are."""

    code = "audit_trail"


CONSTRAINT_ERRORS: ConstraintErrors = {
    "audit_log_pkey": DuplicateId,
    "audit_log_append_only": AuditTrailProtected,
    "audit_log_position_key": partial(AuditTrailProtected, "Another entry has this position in the chain."),
    "audit_log_action_known": partial(AuditTrailProtected, "An entry records a change or a log-in."),
    "audit_log_sealed_whole": partial(AuditTrailProtected, "A sealed entry has a position and a hash."),
    "audited_tables_never_truncated": partial(
        AuditTrailProtected, "Delete the rows one by one, so that the audit trail records each."
    ),
}
