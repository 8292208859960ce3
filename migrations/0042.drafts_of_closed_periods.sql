-- What a closing lists of the billing runs.
set local lock_timeout = '2s';

-- The previews of billing runs of a school that would bill until a moment: they cannot be committed any more. The 100 newest,
-- as JSON.
create or replace function open_runs_of(school uuid, issued_until timestamptz) returns jsonb
  language plpgsql
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(run) order by id), '[]')
        from (
          select id, fee_plan_id as plan_id, period, issued_at, total_amount, invoices_count
          from billing_runs
          where school_id = school and issued_at <= issued_until and status = 'PREVIEW'
          order by id desc
          limit 100
        ) as run
      );
    end
  $function$;
