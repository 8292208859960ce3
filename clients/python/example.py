"""Pay an invoice of the demo school, then list all payments on it, page by page."""

import os
from collections.abc import Iterator
from uuid import UUID, uuid4

from school_billing_client import AuthenticatedClient, Client
from school_billing_client.api.auth import log_in
from school_billing_client.api.payments import create_payment, list_payments_of_invoice
from school_billing_client.models import Login, Payment, PaymentIn, Problem, SessionTokens
from school_billing_client.types import UNSET, Unset

URL = os.environ.get("API", "http://127.0.0.1:8000")
INVOICE = UUID("01980000-0000-7000-8000-000000000202")


def connect(username: str, password: str) -> AuthenticatedClient:
    """Log in, and return a client that sends the access token."""
    tokens = log_in.sync(client=Client(URL), body=Login(username, password))
    if not isinstance(tokens, SessionTokens):
        raise SystemExit(f"cannot log in: {tokens}")
    return AuthenticatedClient(URL, tokens.access_token)


def pay(client: AuthenticatedClient, amount: str) -> str:
    """Pay `amount` on the invoice, and say what happened."""
    # After a lost answer, send the same key again: nothing is paid twice.
    key = str(uuid4())
    answer = create_payment.sync(client=client, body=PaymentIn(INVOICE, amount), idempotency_key=key)
    if isinstance(answer, Problem):
        return f"refused: {answer.code.value}"
    return f"paid {answer.amount} {answer.currency}" if answer else "no answer that the document knows"


def payments(client: AuthenticatedClient) -> Iterator[Payment]:
    """Yield the payments of all pages."""
    cursor: str | Unset = UNSET
    while True:
        page = list_payments_of_invoice.sync_detailed(INVOICE, client=client, limit=2, cursor=cursor)
        if not isinstance(page.parsed, list):
            raise SystemExit(f"cannot list payments: {page.parsed}")
        yield from page.parsed
        if "X-Next-Cursor" not in page.headers:
            return
        cursor = page.headers["X-Next-Cursor"]


with connect("admin", "change_me") as client:
    print(pay(client, "50.00"))
    print(pay(client, "9000.00"))
    for payment in payments(client):
        print(payment.kind.value, payment.amount, payment.reference)
