-- What a term costs: fee plans with items and discount rules, and awards, which are the discounts of one student.
set local lock_timeout = '2s';

create table if not exists fee_plans (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  name text not null,
  -- The version that the next billing run uses. Each change of items or rules makes a new one.
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint fee_plans_pkey primary key (id, school_id),
  constraint fee_plans_school_id_fkey foreign key (school_id) references schools (id) on delete restrict,
  constraint fee_plans_name_length check (char_length(name) between 1 and 255),
  constraint fee_plans_name_plain check (is_plain_text(name) and position(E'\n' in name) = 0),
  constraint fee_plans_version_positive check (version > 0)
);

-- A school's fee plans, ordered by id; also the index of the foreign key.
create index if not exists fee_plans_school_id_id_idx on fee_plans (school_id, id);

create or replace trigger fee_plans_keep_their_school
  before update of school_id on fee_plans
  for each row when (new.school_id <> old.school_id)
  execute function keep_school();
create or replace trigger fee_plans_set_updated_at
  before update on fee_plans
  for each row execute function set_updated_at();
create or replace trigger fee_plans_are_audited
  after insert or update or delete on fee_plans
  for each row execute function append_to_audit_log();
create or replace trigger fee_plans_never_truncated
  before truncate on fee_plans
  for each statement execute function refuse_truncate();

-- The items of each version of a plan, and after them its discount rules. They never change: what a run billed stays
-- readable.
create table if not exists fee_plan_items (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  fee_plan_id uuid not null,
  version int not null,
  position int not null,
  -- An item is what is billed. The others are discounts: for everybody, or from a sibling's rank on.
  kind text not null,
  description text not null,
  -- Of an item.
  category text,
  -- The categories of items from which a discount is taken; null means all of them.
  categories text[],
  percent numeric(7, 4),
  amount numeric(12, 2),
  from_rank int,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint fee_plan_items_pkey primary key (id, school_id),
  -- Also the index of the foreign key.
  constraint fee_plan_items_position_key unique (fee_plan_id, school_id, version, position),
  constraint fee_plan_items_fee_plan_id_fkey foreign key (fee_plan_id, school_id)
    references fee_plans (id, school_id) on delete restrict,
  constraint fee_plan_items_position_in_range check (position between 1 and 80),
  constraint fee_plan_items_kind_known check (kind in ('item', 'sibling', 'percentage', 'fixed')),
  constraint fee_plan_items_fields_of_kind check (
    case kind
      when 'item' then amount is not null and category is not null and num_nonnulls(categories, percent, from_rank) = 0
      when 'sibling' then num_nonnulls(percent, amount) = 1 and from_rank is not null and category is null
      when 'percentage' then percent is not null and num_nonnulls(amount, from_rank, category) = 0
      else amount is not null and num_nonnulls(percent, from_rank, category) = 0
    end
  ),
  constraint fee_plan_items_description_length check (char_length(description) between 1 and 255),
  constraint fee_plan_items_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0),
  constraint fee_plan_items_category_length check (char_length(category) between 1 and 50),
  constraint fee_plan_items_category_plain check (is_plain_text(category) and position(E'\n' in category) = 0),
  constraint fee_plan_items_percent_in_range check (percent > 0 and percent <= 100),
  constraint fee_plan_items_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint fee_plan_items_from_rank_in_range check (from_rank between 1 and 20)
);

create or replace trigger fee_plan_items_stay
  before update on fee_plan_items
  for each row execute function refuse_change_of_movement('fee_plan_items_are_fixed');
create or replace trigger fee_plan_items_fit_the_currency
  after insert on fee_plan_items
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger fee_plan_items_set_updated_at
  before update on fee_plan_items
  for each row execute function set_updated_at();
create or replace trigger fee_plan_items_are_audited
  after insert or update or delete on fee_plan_items
  for each row execute function append_to_audit_log();
create or replace trigger fee_plan_items_never_truncated
  before truncate on fee_plan_items
  for each statement execute function refuse_truncate();

-- The items of a version of a plan as JSON, and with `of_rules` its rules.
create or replace function lines_of_plan(plan uuid, school uuid, of_version int, of_rules boolean) returns jsonb
  language plpgsql stable
  set search_path = public, pg_temp
  as $function$
    begin
      return (
        select coalesce(jsonb_agg(to_jsonb(line) order by fee_plan_items.position), '[]')
        from fee_plan_items
        cross join lateral (
          select kind, description, category, categories, percent, amount, from_rank
        ) as line
        where fee_plan_id = plan and school_id = school and version = of_version
          and (fee_plan_items.kind <> 'item') = of_rules
      );
    end
  $function$;

create table if not exists awards (
  id uuid not null default uuidv7(),
  school_id uuid not null,
  student_id uuid not null,
  description text not null,
  categories text[],
  percent numeric(7, 4),
  amount numeric(12, 2),
  valid_from date not null,
  valid_to date,
  reason text not null,
  approved_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint awards_pkey primary key (id, school_id),
  constraint awards_student_id_fkey foreign key (student_id, school_id)
    references students (id, school_id) on delete restrict,
  constraint awards_description_length check (char_length(description) between 1 and 255),
  constraint awards_description_plain check (is_plain_text(description) and position(E'\n' in description) = 0),
  constraint awards_percent_or_amount check (num_nonnulls(percent, amount) = 1),
  constraint awards_percent_in_range check (percent > 0 and percent <= 100),
  constraint awards_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint awards_valid_from_in_calendar check (valid_from between '1900-01-01' and '2999-12-31'),
  constraint awards_valid_to_in_calendar check (valid_to between '1900-01-01' and '2999-12-31'),
  constraint awards_end_after_they_begin check (valid_to >= valid_from),
  constraint awards_reason_length check (char_length(reason) between 1 and 500),
  constraint awards_reason_plain check (is_plain_text(reason)),
  constraint awards_approved_by_length check (char_length(approved_by) between 1 and 100),
  constraint awards_approved_by_plain check (is_plain_text(approved_by) and position(E'\n' in approved_by) = 0)
);

-- A school's awards, ordered by id.
create index if not exists awards_school_id_id_idx on awards (school_id, id);
-- A student's awards; also the index of the foreign key.
create index if not exists awards_student_id_school_id_idx on awards (student_id, school_id);

create or replace trigger awards_stay_with_their_student
  before update of student_id, school_id on awards
  for each row when (new.student_id <> old.student_id or new.school_id <> old.school_id)
  execute function refuse_change_of_movement('awards_student_is_fixed');
create or replace trigger awards_fit_the_currency
  after insert or update of amount on awards
  for each row when (new.amount <> trunc(new.amount))
  execute function refuse_cents();
create or replace trigger awards_set_updated_at
  before update on awards
  for each row execute function set_updated_at();
create or replace trigger awards_are_audited
  after insert or update or delete on awards
  for each row execute function append_to_audit_log();
create or replace trigger awards_never_truncated
  before truncate on awards
  for each statement execute function refuse_truncate();
