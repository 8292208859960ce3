// Pays an invoice of the demo school, then lists all payments on it, page by page.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema";

type Payment = components["schemas"]["Payment"];

const invoice_id = "01980000-0000-7000-8000-000000000202";
const api = createClient<paths>({ baseUrl: "http://127.0.0.1:8000" });

const login = await api.POST("/auth/login", { body: { username: "admin", password: "change_me" } });
if (login.error) throw new Error(login.error.detail);
const authorization = `Bearer ${login.data.access_token}`;
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", authorization);
    return request;
  },
});

async function pay(amount: string): Promise<string> {
  const { data, error } = await api.POST("/payments", {
    body: { invoice_id, amount },
    // After a lost answer, send the same key again: nothing is paid twice.
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  });
  return error ? `refused: ${error.code}` : `paid ${data.amount} ${data.currency}`;
}

async function* payments(): AsyncGenerator<Payment> {
  let cursor: string | undefined;
  do {
    const { data, error, response } = await api.GET("/invoices/{invoice_id}/payments", {
      params: { path: { invoice_id }, query: { limit: 2, cursor } },
    });
    if (error) throw new Error(error.detail);
    yield* data;
    cursor = response.headers.get("X-Next-Cursor") ?? undefined;
  } while (cursor);
}

console.log(await pay("50.00"));
console.log(await pay("9000.00"));
for await (const payment of payments()) console.log(payment.kind, payment.amount, payment.reference);
