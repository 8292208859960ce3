-- That a log-in failed, for the audit trail: one row. A name that belongs to nobody is not kept, for people type
-- passwords where the username goes.
select append_login_to_audit_log(
  'LOGIN_FAILED', :user_id, :school_id, '(anonymous)', :request_id,
  jsonb_build_object('username', :username::text, 'address', :address::text)
) as noted
