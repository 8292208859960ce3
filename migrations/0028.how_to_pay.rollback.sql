alter table schools drop column if exists iban;
drop function if exists payment_reference(uuid);
drop function if exists creditor_reference(bigint);
drop function if exists passes_mod_97(text);
