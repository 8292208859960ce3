-- The school that was added: one row.
insert into schools (name, currency, time_zone)
values (:name, :currency, :time_zone)
returning id, name, currency, time_zone, created_at, updated_at
