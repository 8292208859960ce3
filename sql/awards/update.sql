-- The changed award: one row, or none if the tenant has no such award or :if_match does not list its version. Null leaves a
-- field as it is; the parameters with _given tell a null from an absent value. A percent replaces an amount, and an amount
-- a percent.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update awards
set description = coalesce(:description, description),
    categories = case when :categories_given then :categories else categories end,
    percent = case when :amount::numeric is null then coalesce(:percent::numeric, percent) end,
    amount = case when :percent is null then coalesce(:amount, amount) end,
    valid_from = coalesce(:valid_from, valid_from),
    valid_to = case when :valid_to_given then :valid_to else valid_to end,
    reason = coalesce(:reason, reason),
    approved_by = coalesce(:approved_by, approved_by)
where (select noted from author)
  and id = :award_id
  and (:tenant::uuid is null or school_id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning
  id, school_id, student_id, description, categories, percent, amount, valid_from, valid_to, reason, approved_by,
  created_at, updated_at
