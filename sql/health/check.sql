-- One row: whether every one of the `migrations` is applied. The database may have more of them, of a newer release.
select
  not exists (
    select unnest(:migrations::text[])
    except
    select migration_id from _yoyo_migration
  ) as is_migrated
