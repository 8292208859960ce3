-- A receipt with new allocations: one row, or none if the tenant has no such receipt, payer or school, the receipt is
-- reversed or :if_match does not list its version, or :invoice_ids has an invoice of another school. Without
-- :receipt_id the receipt is recorded, with it what is left of it is allocated.
--
-- By 'oldest_due_first' the money goes to the open invoices of the payer, in the order in which they are due; what is
-- beyond them is left. By 'list' each invoice gets its amount, and the checks of invoices and of the receipt refuse one
-- too many. An invoice with an early discount gets only what completes it, if the money is in time: a trigger grants the
-- rest. The receipt is locked first, then the invoices by id: a second receipt that pays them waits here, and then
-- sees what is left. Triggers move the totals at the end of the statement, so the answer adds what they add.
with claim as materialized (select coalesce(claim_idempotency_key(:request_idempotency_scope, :request_idempotency_key), true) as granted),
author as materialized (select written_by(:request_actor, :request_id) as noted),
payer as (
  select id, school_id, name
  from payers
  where id = :payer_id::uuid
    and (:tenant::uuid is null or payers.school_id = :tenant)
),
place as (
  select
    schools.id as school_id, currency, time_zone,
    (select payer.id from payer where payer.school_id = schools.id) as payer_id,
    (select payer.name from payer where payer.school_id = schools.id) as payer_name
  from schools
  where (select granted from claim)
    and (select noted from author)
    and schools.id = coalesce(
      :school_id::uuid,
      (select payer.school_id from payer),
      (
        select school_id from receipts where receipts.id = :receipt_id::uuid and (:tenant::uuid is null or receipts.school_id = :tenant)
      )
    )
    and (:tenant::uuid is null or schools.id = :tenant)
    and (
      select count(*)
      from invoices
      where invoices.id = any(:invoice_ids::uuid[])
        and invoices.school_id = schools.id
        and (:tenant::uuid is null or invoices.school_id = :tenant)
    ) = cardinality(:invoice_ids::uuid[])
),
known_receipt as (
  select
    id, school_id, payer_id, payer_name, number, amount, method, reference, source, external_reference, received_at,
    reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at
  from receipts
  where receipts.id = :receipt_id::uuid
    and receipts.school_id = (select school_id from place)
    and (:tenant::uuid is null or receipts.school_id = :tenant)
    and (:if_match::timestamptz[] is null or receipts.updated_at = any(:if_match))
    and receipts.reversed_at is null
  for no key update
),
-- Read when the receipt is locked, and before new payments are added.
known_movements as materialized (
  select allocations, refunds
  from known_receipt
  cross join lateral movements_of_locked_receipt(id, school_id)
),
-- What there is to allocate. A new receipt is recorded with its total, so after it is known what it pays.
money as (
  select
    school_id, payer_id, :amount::numeric(12, 2) as unallocated,
    coalesce(:received_at::timestamptz, start_of_day(:received_on::date, time_zone), now()) as allocated_at
  from place
  where :receipt_id::uuid is null
  union all
  select school_id, payer_id, unallocated, now()
  from known_receipt
  cross join known_movements
),
candidates as (
  select unnest(:invoice_ids::uuid[]) as id
  union all
  select invoices.id
  from money
  join invoices on invoices.payer_id = money.payer_id and invoices.school_id = money.school_id
  where :rule::text = 'oldest_due_first'
    and balance_due > 0
    and (:tenant::uuid is null or invoices.school_id = :tenant)
    -- An invoice that is dated ahead is not owed yet.
    and issued_at <= now()
),
locked as (
  select
    id, school_id, student_id, description, issued_at, due_date, balance_due, refunds_total, reversals_total,
    written_off_total, early_discount, early_until, early_adjustment_id
  from invoices
  where invoices.id = any(array(select candidates.id from candidates))
    and invoices.school_id = (select school_id from money)
    and (:tenant::uuid is null or invoices.school_id = :tenant)
  order by invoices.id
  for no key update
),
payable as (
  select
    locked.id as invoice_id, issued_at, due_date, balance_due, paid_at,
    case
      when early_discount is not null
        and early_adjustment_id is null
        and early_discount < balance_due
        and written_off_total = 0
        and greatest(paid_at, last_standing_payment_of(locked.id, locked.school_id)) <= early_until
        then balance_due - early_discount
      else balance_due
    end as completed_by
  from money
  cross join locked
  cross join lateral (
    -- After the refunds and reversals of an invoice, because more than its total must not have been paid on an earlier day.
    select greatest(
      allocated_at, issued_at,
      case when locked.refunds_total > 0 or reversals_total > 0 then last_payment_of(locked.id, locked.school_id) end
    ) as paid_at
  ) as dated
),
in_turn as (
  select
    invoice_id, completed_by,
    unallocated - coalesce(sum(completed_by) over (
      order by due_date, issued_at, invoice_id rows between unbounded preceding and 1 preceding
    ), 0) as left_for_it
  from money
  cross join payable
  where :rule = 'oldest_due_first'
    and balance_due > 0
),
planned as (
  select invoice_id, least(completed_by, left_for_it) as amount
  from in_turn
  where left_for_it > 0
  union all
  select invoice_id, amount
  from unnest(:invoice_ids::uuid[], :invoice_amounts::numeric[]) as given (invoice_id, amount)
),
new_receipt as (
  insert into receipts (
    school_id, payer_id, payer_name, amount, method, reference, source, external_reference, received_at, allocated_total
  )
  select
    place.school_id, place.payer_id, payer_name, :amount::numeric(12, 2), :method::text, :reference::text, :source::text,
    :external_reference::text, allocated_at, coalesce((select sum(planned.amount) from planned), 0)
  from place
  cross join money
  where :receipt_id::uuid is null
  returning
    id, school_id, payer_id, payer_name, number, amount, method, reference, source, external_reference, received_at,
    reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at
),
receipt as (
  select
    id, school_id, payer_id, payer_name, number, amount, method, reference, source, external_reference, received_at,
    reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at
  from new_receipt
  union all
  select
    id, school_id, payer_id, payer_name, number, amount, method, reference, source, external_reference, received_at,
    reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at
  from known_receipt
),
new_payments as (
  insert into payments (school_id, invoice_id, receipt_id, amount, method, reference, paid_at)
  select
    receipt.school_id, payable.invoice_id, receipt.id, planned.amount, receipt.method, receipt.reference, payable.paid_at
  from receipt
  cross join planned
  join payable on payable.invoice_id = planned.invoice_id
  order by payable.invoice_id
  returning id, invoice_id, amount, paid_at
),
new_allocations as (
  select
    new_payments.id as payment_id, invoice_id, student_id, full_name, description, amount, paid_at as allocated_at,
    null::timestamptz as reversed_at
  from new_payments
  join locked on locked.id = new_payments.invoice_id
  join students on students.id = locked.student_id and students.school_id = (select school_id from receipt)
    and (:tenant::uuid is null or students.school_id = :tenant)
),
-- What triggers add to a known receipt, at the end of the statement.
added as (
  select coalesce(sum(amount), 0.00) as amount, count(*) as payments
  from new_payments
  where :receipt_id::uuid is not null
),
answer as (
  select
    receipt.id, receipt.school_id, receipt.payer_id, receipt.payer_name, receipt.number, receipt.amount, currency,
    method, reference, source, external_reference, received_at, reversed_at, reverse_reason,
    allocated_total + added.amount as allocated_total, refunded_total, unallocated - added.amount as unallocated,
    coalesce((select known_movements.allocations from known_movements), '[]')
    || (
      select coalesce(jsonb_agg(to_jsonb(new_allocations) order by allocated_at, payment_id), '[]') from new_allocations
    ) as allocations,
    coalesce((select known_movements.refunds from known_movements), '[]') as refunds,
    created_at, updated_at_after(updated_at, sign(added.payments)::int) as updated_at
  from receipt
  cross join place
  cross join added
)
select
  id, school_id, payer_id, payer_name, number, amount, currency, method, reference, source, external_reference,
  received_at, reversed_at, reverse_reason, allocated_total, refunded_total, unallocated, created_at, updated_at,
  allocations, refunds
from answer
cross join lateral remember_answer(:request_idempotency_scope, :request_idempotency_key, :request_fingerprint, to_jsonb(answer))
