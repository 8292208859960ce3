alter table schools
  drop column if exists address,
  drop column if exists payment_instructions;
