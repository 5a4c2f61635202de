"""What a stopped gateway's store has besides the file."""

import os

from switchgear.app import store_names
from switchgear.app.layout import Layout
from switchgear.config.names import Known
from switchgear.store import objects
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store


def test_names_of_providers_and_models_are_read_without_changing_anything(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    store = Store(SqliteBackend(layout.store), True, os.urandom, bytes(32))
    layout.store_marker.write_text("x")
    for kind, name in (("provider", "mine"), ("model", "fast"), ("price", "mine/x")):
        store.write(lambda c, kind=kind, name=name: objects.put_object(c, kind, name, b"{}", 1)).result()
    store.close()
    expected = Known(providers=frozenset({"mine"}), models=frozenset({"fast"}))
    assert store_names.read(str(layout.store)) == expected
