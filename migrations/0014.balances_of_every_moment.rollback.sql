drop trigger if exists payments_leave_possible_balances on payments;
drop trigger if exists invoices_have_possible_balances on invoices;
drop function if exists refuse_impossible_balance();
