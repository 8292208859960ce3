drop table if exists invoices;
drop function if exists refuse_handwritten_total();
drop function if exists statement_line_of(
  uuid, uuid, numeric, timestamptz, date, text, numeric, numeric, numeric, text
);
drop function if exists statement_totals_of(numeric, numeric, numeric, numeric, numeric);
drop function if exists ageing_of(numeric, numeric, numeric, numeric, numeric);
drop type if exists statement_line;
drop type if exists statement_totals;
drop type if exists ageing;
drop function if exists ageing_bucket(int);
drop function if exists invoice_status(boolean, numeric, numeric);
