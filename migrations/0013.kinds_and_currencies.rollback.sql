drop trigger if exists payments_keep_their_kind on payments;
drop function if exists keep_kind();
