"""The pages /docs and /openapi.json. Swagger UI comes from files of this package and needs no internet."""

from collections.abc import Mapping, Sequence
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Contact, License, SecurityScheme, Tag
from litestar.response import File, Redirect

from school_billing.platform.web.errors import path_of
from school_billing.platform.web.openapi import complete_document, name_operation

_ASSETS = Path(__file__).parent / "assets"
_PAGE = (_ASSETS / "docs.html").read_bytes()
# The only files that are served, so that no path of a client reaches the file system: Litestar answers a NUL with 500.
_FILES = {f"/assets/{path.relative_to(_ASSETS)}": path for path in _ASSETS.rglob("*") if path.suffix in {".js", ".css"}}

BEARER = "bearer"
"""The name of the security scheme in the OpenAPI document."""


class CompleteJson(JsonRenderPlugin):
    """The completed document at /docs/openapi.json, in place of Litestar's."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the completed document."""
        return _document(request.app)


class DocsPage(OpenAPIRenderPlugin):
    """Swagger UI with its script and its style."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page."""
        return _PAGE

    def receive_router(self, router: Router) -> None:
        """Serve the files of the page."""
        router.register(_get_asset)


@get(list(_FILES), include_in_schema=False, sync_to_thread=False, cache_control=CacheControlHeader(max_age=3600))
def _get_asset(request: Request[Any, Any, Any]) -> File:
    path = _FILES[path_of(request).removeprefix("/docs")]
    return File(path, media_type=guess_type(path.name)[0], content_disposition_type="inline")


@cache
def _document(app: Litestar) -> bytes:
    return msgspec.json.encode(complete_document(app), enc_hook=str)


def openapi_config(
    title: str, version: str, description: str, tags: Sequence[Tag], opt: Mapping[str, object]
) -> OpenAPIConfig:
    """Configure the OpenAPI document and the page at /docs, whose routes have the options `opt`."""
    sentence = "An access token from POST /auth/login, or an API key."
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT", description=sentence)
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description.strip(),
        contact=Contact(name="The maintainers of School Billing"),
        license=License(name="MIT", identifier="MIT"),
        tags=list(tags),
        use_handler_docstrings=True,
        operation_id_creator=name_operation,
        components=Components(security_schemes={BEARER: bearer}),
        openapi_router=Router(
            "/docs", route_handlers=[], include_in_schema=False, opt=dict(opt), after_request=_not_found_as_problem
        ),
        render_plugins=[DocsPage(path="/", media_type=MediaType.HTML), CompleteJson(path="/openapi.json")],
    )


def docs_routes(opt: Mapping[str, object]) -> list[HTTPRouteHandler]:
    """Make the routes /openapi.json and /, which redirects to /docs."""

    @get("/openapi.json", include_in_schema=False, opt=dict(opt), sync_to_thread=False)
    def get_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        return Response(_document(request.app), media_type=MediaType.JSON)

    @get("/", include_in_schema=False, opt=dict(opt), sync_to_thread=False)
    def get_root() -> Redirect:
        return Redirect("/docs")

    return [get_openapi, get_root]


def _not_found_as_problem(response: Response[Any]) -> Response[Any]:
    # Litestar answers unknown paths below /docs with an HTML page.
    if response.status_code == 404:
        raise NotFoundException
    return response
