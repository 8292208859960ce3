"""The HTTP layer: problem documents, bodies, pages, request ids and the docs. Nothing about billing."""
