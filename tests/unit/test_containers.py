"""The tests' own PostgreSQL in a container, without an engine: what is asked of one."""

import socket
from pathlib import Path
from typing import Any

import pytest
from testcontainers.community.postgres import PostgresContainer

import tests.postgres
from tests.postgres import container, docker_answers


def test_postgresql_18_is_run_waited_for_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[Any] = []

    def start(self: PostgresContainer) -> PostgresContainer:
        happened.append(("run", self.image))
        assert "fsync=off" in str(self._command)
        self._container = "of the test"
        return self

    monkeypatch.setattr("testcontainers.core.container.DockerClient", lambda *_, **__: None)
    monkeypatch.setattr(PostgresContainer, "start", start)
    monkeypatch.setattr(PostgresContainer, "stop", lambda *_, **__: happened.append("removed"))
    monkeypatch.setattr(PostgresContainer, "get_container_host_ip", lambda _: "127.0.0.1")
    monkeypatch.setattr(PostgresContainer, "get_exposed_port", lambda *_: 54321)
    monkeypatch.setattr(tests.postgres, "wait_for_database", lambda url, seconds: happened.append((url, seconds)))
    with container() as url:
        assert url == "postgresql://test:test@127.0.0.1:54321/test", "its name has 'test' in it"
        happened.append("used")
    assert happened == [("run", "postgres:18"), (url, 60), "used", "removed"]


def test_an_engine_is_asked_for_at_its_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "engine"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    assert not docker_answers()
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        engine.listen()
        assert docker_answers()
    with socket.create_server(("127.0.0.1", 0)) as engine:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.getsockname()[1]}")
        assert docker_answers()
    assert not docker_answers()
