"""What falls due, month by month, from the invoices that there are."""

from datetime import date, timedelta

from tests.api import NOBODY, Api, problem


def month(number: int) -> date:
    """Return the first day of the month that is so many months from this one, in UTC as the school."""
    today = date.today()  # noqa: DTZ011 - the tests and the school are in UTC
    index = today.year * 12 + today.month - 1 + number
    return date(index // 12, index % 12 + 1, 1)


async def test_the_forecast_has_what_falls_due_and_what_of_it_is_paid(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    await api.invoice(await api.student(), "5.00", due_date=str(month(0)))
    last_day = month(1) - timedelta(days=1)
    overdue = await api.invoice(student, "10.00", due_date=str(month(0) - timedelta(days=1)))
    await api.pay(overdue, "4.00")
    first = await api.invoice(student, "100.00", due_date=str(month(0)))
    await api.pay(first, "30.00")
    await api.invoice(student, "50.00", due_date=str(last_day))
    void = await api.invoice(student, "7.00", due_date=str(month(1)))
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "x"})
    await api.invoice(student, "20.00", due_date=str(month(2)))
    await api.invoice(student, "3.00", due_date=str(month(3)))
    forecast = await api.get(f"/schools/{school['id']}/forecast?months=3")
    assert (forecast["open_before"], forecast["open_after"], forecast["currency"]) == ("6.00", "3.00", "USD")
    assert [tuple(row.values()) for row in forecast["rows"]] == [
        (str(month(0)), str(last_day), "150.00", "30.00", "120.00", 2),
        (str(month(1)), str(month(2) - timedelta(days=1)), "0.00", "0.00", "0.00", 0),
        (str(month(2)), str(month(3) - timedelta(days=1)), "20.00", "0.00", "20.00", 1),
    ]
    assert len((await api.get(f"/schools/{school['id']}/forecast"))["rows"]) == 12
    for months in ("0", "61", "x"):
        problem(await api.client.get(f"/schools/{school['id']}/forecast?months={months}"), 400, "invalid_parameter")
    problem(await api.client.get(f"/schools/{NOBODY}/forecast"), 404, "school_not_found")
