-- What a statement on paper says about its school: where it is, and how to pay it.
set local lock_timeout = '2s';

alter table schools
  add column if not exists address text,
  add column if not exists payment_instructions text;

-- `not valid` spares the scan of old rows, which have nothing in the new columns. New rows are checked all the same.
alter table schools
  add constraint schools_address_length check (char_length(address) between 1 and 500) not valid,
  add constraint schools_payment_instructions_length check (char_length(payment_instructions) between 1 and 1000) not valid;
