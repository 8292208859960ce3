-- What a statement on paper says about its school: where it is, and how to pay it.
set local lock_timeout = '2s';

alter table schools
  add column if not exists address text
    constraint schools_address_length check (char_length(address) between 1 and 500)
    constraint schools_address_plain check (is_plain_text(address)),
  add column if not exists payment_instructions text
    constraint schools_payment_instructions_length check (char_length(payment_instructions) between 1 and 1000)
    constraint schools_payment_instructions_plain check (is_plain_text(payment_instructions));
