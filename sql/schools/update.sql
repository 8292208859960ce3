-- The changed school: one row, or none if it is not the tenant or :if_match does not list its version. Null leaves a
-- column as it is; :address_given, :payment_instructions_given, :iban_given and :invoice_prefix_given distinguish a
-- null that clears its column. Triggers of the table refuse another currency if the school has invoices, and another
-- prefix if a number has it.
with author as materialized (select written_by(:request_actor, :request_id) as noted)
update schools
set name = coalesce(:name, name),
    currency = coalesce(:currency, currency),
    time_zone = coalesce(:time_zone, time_zone),
    address = case when :address_given then :address else address end,
    payment_instructions =
      case when :payment_instructions_given then :payment_instructions else payment_instructions end,
    iban = case when :iban_given then :iban else iban end,
    invoice_prefix = case when :invoice_prefix_given then :invoice_prefix else invoice_prefix end
where (select noted from author)
  and schools.id = :school_id
  and (:tenant::uuid is null or schools.id = :tenant)
  and (:if_match::timestamptz[] is null or updated_at = any(:if_match))
returning id, name, currency, time_zone, address, payment_instructions, iban, invoice_prefix, created_at, updated_at
