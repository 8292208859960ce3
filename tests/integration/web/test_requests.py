"""What holds for every request: ids, methods, media types, sizes."""

import json
import re
from uuid import UUID, uuid4

import httpx
import pytest

from tests.api import NOBODY, Api, is_plain, problem, wrong_fields


async def test_every_answer_has_a_request_id(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/schools", "/nowhere", f"/schools/{NOBODY}", "/schools/x", "/docs"):
        assert UUID((await client.get(path)).headers["x-request-id"])
    assert UUID((await client.put("/schools")).headers["x-request-id"])


async def test_a_sane_request_id_is_kept_and_another_replaced(client: httpx.AsyncClient) -> None:
    taken = await client.get("/nowhere", headers={"X-Request-Id": "abc-123"})
    assert taken.headers["x-request-id"] == problem(taken, 404)["request_id"] == "abc-123"
    replaced = await client.get("/health", headers={"X-Request-Id": "<script>"})
    assert UUID(replaced.headers["x-request-id"])


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    for path in (
        "/nowhere",
        "/schools/x/y/z",
        "/docs/nowhere",
        "/docs/assets/nowhere.js",
        "http://test//health",
        "/health//db",
        "/%00",
        "/docs/assets/%00",
        f"/docs/assets/{'a' * 300}",
    ):
        problem(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/schools", "GET, HEAD, OPTIONS, POST"),
        ("POST", f"/schools/{NOBODY}", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("DELETE", f"/students/{NOBODY}/statement", "GET, HEAD, OPTIONS"),
        ("GET", "/auth/login", "OPTIONS, POST"),
    ],
)
async def test_a_wrong_method_is_405_with_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await client.request(method, path)
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allow


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/schools", "GET, HEAD, OPTIONS, POST"),
        (f"/payments/{NOBODY}", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/auth/login", "OPTIONS, POST"),
    ],
)
async def test_options_tells_everybody_what_a_path_takes(anonymous: httpx.AsyncClient, path: str, allow: str) -> None:
    response = await anonymous.options(path)
    assert (response.status_code, response.headers["allow"], response.content) == (204, allow, b"")


async def test_head_answers_like_get(client: httpx.AsyncClient) -> None:
    assert (await client.head("/schools")).status_code == 200
    assert (await client.head(f"/schools/{NOBODY}")).status_code == 404


@pytest.mark.parametrize("identifier", ["x", "1", "01980000-0000-7000-8000", f"{NOBODY}0", "null", "%27", "..%2F"])
async def test_an_id_that_is_none_is_a_400_that_names_it(client: httpx.AsyncClient, identifier: str) -> None:
    for path, name in (("schools", "school_id"), ("students", "student_id"), ("invoices", "invoice_id")):
        response = await client.get(f"/{path}/{identifier}")
        if response.status_code != 404:  # A slash in it makes another path.
            errors = problem(response, 400, "invalid_parameter")["errors"]
            assert [error["field"] for error in errors] == [name]
    assert wrong_fields(await client.post("/payments", json={"invoice_id": identifier, "amount": "1"})) == [
        "invoice_id"
    ]


async def test_no_message_about_a_parameter_speaks_of_types(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    tried = set()
    for path, methods in document["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", []):
            kind = json.dumps([parameter["name"], parameter["schema"]])
            if parameter["in"] == "header" or kind in tried:
                continue
            tried.add(kind)
            of_path = f"{{{parameter['name']}}}"
            for value in ("x", "", "-1", "null", "x" * 300, "2026-02-30"):
                target = path.replace(of_path, value or "%20") if of_path in path else re.sub("{.*?}", NOBODY, path)
                query = {} if of_path in path else {parameter["name"]: value}
                answer = await client.get(target, params=query)
                if answer.status_code == 400:
                    refusal = problem(answer, 400, "invalid_parameter")
                    (error,) = refusal["errors"]
                    assert error["field"] == parameter["name"]
                    assert is_plain(error["message"]), error
                    assert refusal["detail"] == f"{error['field']} {error['message']}."
    assert len(tried) > 25


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"{'name': 'x'}", b"name=x", b"{}{}"])
async def test_a_body_that_is_no_json_is_400(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/schools", content=body, headers={"Content-Type": "application/json"})
    problem(response, 400, "malformed_json")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"'])
async def test_a_body_that_is_no_object_is_422(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/schools", content=body, headers={"Content-Type": "application/json"})
    assert wrong_fields(response) == [""]


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
async def test_another_media_type_is_415(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post("/schools", content=b'{"name":"x"}', headers={"Content-Type": media_type})
    problem(response, 415, "unsupported_media_type")


async def test_a_compressed_body_is_415(client: httpx.AsyncClient) -> None:
    for encoding, status in (("gzip", 415), ("identity", 201)):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        response = await client.post("/schools", content=b'{"name":"x"}', headers=headers)
        assert response.status_code == status, response.text


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "application/merge-patch+json", "APPLICATION/JSON"]
)
async def test_json_by_any_of_its_names_is_taken(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post("/schools", content=b'{"name":"x"}', headers={"Content-Type": media_type})
    assert response.status_code == 201


async def test_a_body_of_ten_megabytes_is_413(client: httpx.AsyncClient) -> None:
    body = json.dumps({"name": "x" * 10_000_000}).encode()
    response = await client.post("/schools", content=body, headers={"Content-Type": "application/json"})
    problem(response, 413, "body_too_large")


async def test_deep_nesting_is_refused(client: httpx.AsyncClient) -> None:
    for body in (b"[" * 100_000, b'{"name":' * 10_000 + b"1" + b"}" * 10_000):
        response = await client.post("/schools", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in {400, 422}


async def test_no_error_tells_of_the_database(api: Api) -> None:
    school = await api.school()
    await api.student(school, external_id="S-1")
    body = {"school_id": school["id"], "full_name": "x", "external_id": "S-1"}
    for response in (
        await api.client.post("/students", json=body),
        await api.client.delete(f"/schools/{school['id']}"),
    ):
        text = json.dumps(problem(response, 409)).lower()
        assert not any(word in text for word in ("students_", "constraint", "key (", "select", "asyncpg", "_fkey"))


@pytest.mark.parametrize("host", ["x:abc", "x:99999", "x:-1", "[::1", "x: 1", "", "x/../y"])
async def test_the_host_header_has_a_say_in_nothing(client: httpx.AsyncClient, host: str) -> None:
    for path in ("/schools?limit=1", "/nowhere", f"/schools/{NOBODY}"):
        response = await client.get(path, headers={"Host": host})
        assert response.status_code in {200, 400, 404}, response.text
        assert "://" not in response.headers.get("link", "")
    response = await client.post("/schools", json={"name": "x"}, headers={"Host": host, "Idempotency-Key": uuid4().hex})
    assert response.status_code in {201, 400}
