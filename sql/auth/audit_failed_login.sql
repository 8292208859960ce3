-- Adds an audit entry about a failed log-in: one row. The username of an unknown user is not stored, because people
-- type passwords into the wrong field.
select append_login_to_audit_log(
  'LOGIN_FAILED', :user_id, :school_id, '(anonymous)', :request_id,
  jsonb_build_object('username', :username::text, 'address', :address::text)
) as noted
