"""`python -m tests.openapi` prints the OpenAPI document."""

import asyncio

from school_billing.app import create_app
from school_billing.platform.settings import Settings
from tests.api import client_of


async def document() -> str:
    """Return the document of an application that does not run, because it needs no database."""
    async with client_of(create_app(Settings())) as client:
        return (await client.get("/openapi.json")).text


if __name__ == "__main__":
    print(asyncio.run(document()))  # noqa: T201 - the output of the command.
