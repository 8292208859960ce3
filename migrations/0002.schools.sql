-- Schools: the tenants. Every other table of the ledger carries the id of one.
create table if not exists schools (
  id uuid not null default uuidv7(),
  name text not null,
  currency text not null default 'USD',
  time_zone text not null default 'UTC',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint schools_pkey primary key (id),
  constraint schools_name_length check (char_length(name) between 1 and 255),
  constraint schools_currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
  -- A zone that PostgreSQL does not know makes the expression itself fail (22023): a school whose statements
  -- could not be computed cannot be stored.
  constraint schools_time_zone_is_known check ((timestamptz 'epoch' at time zone time_zone) is not null)
);
