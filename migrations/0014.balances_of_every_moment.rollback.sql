create or replace function end_of_day(day date, time_zone text) returns timestamptz
  language sql stable parallel safe
  return (day + 1)::timestamp at time zone time_zone - interval '1 microsecond';
drop function if exists start_of_day(date, text);
drop trigger if exists payments_leave_possible_balances on payments;
drop trigger if exists invoices_have_possible_balances on invoices;
drop function if exists refuse_impossible_balance();
