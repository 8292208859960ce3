"""`python -m school_billing` is `school-billing`."""

from school_billing.cli import main

main()
