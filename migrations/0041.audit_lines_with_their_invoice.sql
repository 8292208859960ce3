-- The audit entry of a new invoice has its lines, and they have no entries of their own. A run of 50,000 invoices makes
-- 165,000 lines, and their entries took nearly half of its time.
set local lock_timeout = '2s';

-- Tells whether a line was made by the statement that made its invoice: then the entry of the invoice has the line,
-- because it is written when the statement is done.
--
-- Without enable_seqscan, and with one plan, because the tables of a new database are empty when the first statement is
-- planned: a plan that reads all of a table would be kept while this statement fills it, or each line would be planned anew.
create or replace function comes_with_its_invoice(line uuid, invoice uuid, school uuid) returns boolean
  language plpgsql
  set search_path = public, pg_temp
  set enable_seqscan = off
  set plan_cache_mode = force_generic_plan
  as $function$
    declare
      made record;
    begin
      select xmin, cmin into made from invoices where id = invoice and school_id = school;
      return exists (
        select 1
        from invoice_lines
        where id = line and school_id = school and xmin = made.xmin and cmin = made.cmin
      );
    end
  $function$;

-- As before, and the entry of a new invoice has its lines.
create or replace function append_to_audit_log() returns trigger
  language plpgsql security definer
  set search_path = public, pg_temp
  set timezone = 'UTC'
  as $function$
    declare
      row_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - array['password_hash', 'key_hash'] end;
      row_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - array['password_hash', 'key_hash'] end;
      present jsonb := coalesce(row_after, row_before);
      -- On a partition or a shard, tg_table_name is the name of that part, such as invoices_102244.
      table_name text := rtrim(tg_table_name, '_0123456789');
    begin
      if table_name = 'invoices' and tg_op = 'INSERT' then
        row_after := row_after || coalesce(
          (
            select jsonb_build_object('lines', jsonb_agg(to_jsonb(line) order by line.position))
            from invoice_lines
            cross join lateral (select id, position, description, category, amount) as line
            where invoice_id = new.id and school_id = new.school_id
            having count(*) > 0
          ),
          '{}'
        );
      end if;
      insert into audit_log (school_id, entity, entity_id, action, actor, request_id, row_before, row_after)
      values (
        coalesce(
          (case when table_name = 'schools' then present ->> 'id' else present ->> 'school_id' end)::uuid,
          '00000000-0000-0000-0000-000000000000'
        ),
        table_name,
        (present ->> 'id')::uuid,
        tg_op,
        coalesce(nullif(current_setting('school_billing.actor', true), ''), 'role:' || session_user),
        nullif(current_setting('school_billing.request_id', true), ''),
        row_before,
        row_after
      );
      return null;
    end
  $function$;

create or replace trigger invoice_lines_are_audited
  after insert on invoice_lines
  for each row when (not comes_with_its_invoice(new.id, new.invoice_id, new.school_id))
  execute function append_to_audit_log();
create or replace trigger invoice_lines_changes_are_audited
  after update or delete on invoice_lines
  for each row execute function append_to_audit_log();
