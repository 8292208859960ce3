from uuid import UUID

import pytest

from school_billing.platform.web.requests import choose_request_id


@pytest.mark.parametrize("offered", [b"abc", b"01980000-0000-7000-8000-000000000001", b"a" * 128, b"a/b:c=d+e._-"])
def test_a_sane_id_is_taken(offered: bytes) -> None:
    assert choose_request_id(offered) == offered.decode()


@pytest.mark.parametrize("offered", [None, b"", b"a" * 129, b"a b", b"a\nb", b"\xc3\xa9", b"<script>", b"a\n"])
def test_another_is_replaced(offered: bytes | None) -> None:
    assert UUID(choose_request_id(offered)).version == 4
