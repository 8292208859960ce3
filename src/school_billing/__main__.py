"""`python -m school_billing` is `school-billing`."""

from school_billing.serving.command_line import main

main(prog_name="school-billing")
