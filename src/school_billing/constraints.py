"""What the refusal of each of the schema's constraints means to the caller, by the constraint's name.

A test compares this table with the constraints and unique indexes that the database has, so that a new one
without a meaning fails the build.
"""

from school_billing.web.problems import BadRequest, Conflict, InvalidBody, Meaning, NotFound

_TWICE = Meaning(Conflict, "duplicate_id", "There is one of this id already.")

CONSTRAINTS: dict[str, Meaning] = {
    "idempotency_key_in_flight": Meaning(
        Conflict,
        "idempotency_key_in_flight",
        "A request with this Idempotency-Key is being answered at this moment. Try again a little later.",
    ),
    "idempotency_keys_pkey": Meaning(Conflict, "idempotency_key_used", "This Idempotency-Key was used already."),
    "idempotency_keys_key_length": Meaning(BadRequest, "invalid_parameter", "A key has 1 to 255 characters."),
    "audited_tables_never_truncated": Meaning(Conflict, "audit_trail", "The audit trail must see each row go."),
    "audit_log_pkey": _TWICE,
    "audit_log_position_key": Meaning(Conflict, "audit_trail", "Two entries cannot have one place in a chain."),
    "audit_log_action_known": Meaning(Conflict, "audit_trail", "An entry tells of a change or of logging in."),
    "audit_log_sealed_whole": Meaning(Conflict, "audit_trail", "A sealed entry has its place and its hash."),
    "audit_log_append_only": Meaning(Conflict, "audit_trail", "The audit trail is only ever added to."),
    "schools_pkey": _TWICE,
    "schools_name_length": Meaning(InvalidBody, "invalid_body", "A name has 1 to 255 characters.", field="name"),
    "schools_currency_is_iso_4217": Meaning(
        InvalidBody, "invalid_body", "A currency is an ISO 4217 code.", field="currency"
    ),
    "schools_time_zone_is_known": Meaning(
        InvalidBody, "invalid_body", "A time zone is one that is known.", field="time_zone"
    ),
    "students_pkey": _TWICE,
    "students_school_id_fkey": Meaning(
        NotFound,
        "school_not_found",
        "There is no such school.",
        on_delete="The school has students and cannot be deleted.",
    ),
    "students_external_id_key": Meaning(
        Conflict,
        "duplicate_external_id",
        "The school has a student of this external id already.",
        field="external_id",
    ),
    "students_full_name_length": Meaning(
        InvalidBody, "invalid_body", "A name has 1 to 255 characters.", field="full_name"
    ),
    "students_external_id_length": Meaning(
        InvalidBody, "invalid_body", "An external id has 1 to 255 characters.", field="external_id"
    ),
    "invoices_pkey": _TWICE,
    "invoices_student_id_fkey": Meaning(
        NotFound,
        "student_not_found",
        "There is no such student in the invoice's school.",
        on_delete="The student has invoices and cannot be deleted.",
    ),
    "invoices_total_amount_positive": Meaning(
        InvalidBody, "invalid_body", "An amount is above zero.", field="total_amount"
    ),
    "invoices_due_date_in_calendar": Meaning(
        InvalidBody, "invalid_body", "A day lies between 1900-01-01 and 2999-12-31.", field="due_date"
    ),
    "invoices_issued_at_in_calendar": Meaning(
        InvalidBody, "invalid_body", "An instant lies between 1900-01-01 and 2999-12-31.", field="issued_at"
    ),
    "invoices_description_length": Meaning(
        InvalidBody,
        "invalid_body",
        "A description has at most 500 characters.",
        field="description",
    ),
    "invoices_void_reason_length": Meaning(
        InvalidBody, "invalid_body", "A reason has 1 to 500 characters.", field="reason"
    ),
    "invoices_void_has_reason": Meaning(InvalidBody, "invalid_body", "A void invoice has a reason.", field="reason"),
    "invoices_payments_not_negative": Meaning(
        Conflict, "totals_negative", "The totals of an invoice's movements would fall below zero."
    ),
    "invoices_paid_at_most_total": Meaning(
        Conflict, "overpayment", "More would be paid on the invoice than its total amount."
    ),
    "invoices_refunded_at_most_paid": Meaning(
        Conflict, "over_refund", "More would be refunded on the invoice than was paid."
    ),
    "invoices_none_paid_when_void": Meaning(
        Conflict, "invoice_void", "A void invoice has nothing paid and takes no movements."
    ),
    "invoices_totals_follow_payments": Meaning(
        Conflict, "totals_differ", "The totals of an invoice follow from its payments and cannot be set."
    ),
    "payments_pkey": _TWICE,
    "payments_invoice_id_fkey": Meaning(
        NotFound,
        "invoice_not_found",
        "There is no such invoice in the payment's school.",
        on_delete="The invoice has movements and cannot be deleted.",
    ),
    "payments_kind_known": Meaning(InvalidBody, "invalid_body", "A movement is a PAYMENT or a REFUND.", field="kind"),
    "payments_amount_positive": Meaning(InvalidBody, "invalid_body", "An amount is above zero.", field="amount"),
    "payments_method_length": Meaning(InvalidBody, "invalid_body", "A method has 1 to 50 characters.", field="method"),
    "payments_reference_length": Meaning(
        InvalidBody, "invalid_body", "A reference has 1 to 255 characters.", field="reference"
    ),
    "payments_paid_at_in_calendar": Meaning(
        InvalidBody, "invalid_body", "An instant lies after 1900-01-01.", field="paid_at"
    ),
    "payments_paid_at_not_in_future": Meaning(
        InvalidBody, "invalid_body", "Money cannot have moved in the future.", field="paid_at"
    ),
    "users_pkey": _TWICE,
    "users_username_key": Meaning(
        Conflict, "duplicate_username", "There is a user of this name already.", field="username"
    ),
    "users_username_shape": Meaning(
        InvalidBody,
        "invalid_body",
        "A username has 1 to 255 characters, in lower case.",
        field="username",
    ),
    "users_password_hash_is_argon2id": Meaning(
        InvalidBody, "invalid_body", "A password is stored as an argon2id hash.", field="password"
    ),
    "users_role_known": Meaning(InvalidBody, "invalid_body", "A role is admin, accountant or viewer.", field="role"),
    "users_school_id_fkey": Meaning(
        NotFound,
        "school_not_found",
        "There is no such school.",
        on_delete="The school has users and cannot be deleted.",
    ),
    "school_id_is_fixed": Meaning(Conflict, "school_is_fixed", "Payments, users and API keys stay in their school."),
    "sessions_pkey": _TWICE,
    "sessions_user_id_fkey": Meaning(NotFound, "user_not_found", "There is no such user."),
    "refresh_tokens_pkey": _TWICE,
    "refresh_tokens_session_id_fkey": Meaning(NotFound, "session_not_found", "There is no such session."),
    "login_throttles_pkey": _TWICE,
    "api_keys_pkey": _TWICE,
    "api_keys_key_hash_key": _TWICE,
    "api_keys_name_key": Meaning(
        Conflict, "duplicate_name", "The school has a key of this name in use already.", field="name"
    ),
    "api_keys_name_length": Meaning(InvalidBody, "invalid_body", "A name has 1 to 100 characters.", field="name"),
    "api_keys_role_known": Meaning(InvalidBody, "invalid_body", "A role is admin, accountant or viewer.", field="role"),
    "api_keys_school_id_fkey": Meaning(
        NotFound,
        "school_not_found",
        "There is no such school.",
        on_delete="The school has API keys and cannot be deleted.",
    ),
}
