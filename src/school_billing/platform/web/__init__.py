"""HTTP as this service speaks it: problem details, bodies, pages, request ids, the docs. Nothing about billing."""
