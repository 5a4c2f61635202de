"""The store of a gateway that does not run is asked by a process of its own."""

import os

from switchgear.app.layout import Layout
from switchgear.app.stopped_store import store_names
from switchgear.config.names import Known
from switchgear.store import objects
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store


def test_without_a_store_nobody_is_asked(tmp_path):
    assert store_names(Layout(tmp_path)) is None


def test_names_of_a_store_are_told(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    store = Store(SqliteBackend(layout.store), True, os.urandom, bytes(32))
    layout.store_marker.write_text("x")
    for kind, name in (("provider", "mine"), ("model", "fast")):
        store.write(lambda c, kind=kind, name=name: objects.put_object(c, kind, name, b"{}", 1)).result()
    store.close()  # as root: the process shuts itself into the folder, as its owner
    assert store_names(layout) == Known(providers=frozenset({"mine"}), models=frozenset({"fast"}))


def test_a_store_that_cannot_be_read_is_as_good_as_none(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    layout.store_marker.write_text("x")
    layout.store.write_bytes(b"no database" * 100)
    assert store_names(layout) is None
