from switchgear.cli import discover, discovery
from switchgear.discover import files, formats


def test_what_help_says_is_what_the_search_does():
    assert discover.FILE_BYTES_MAX == files.FILE_BYTES_MAX
    assert set(formats.FORMATS) <= set(discover.OUTPUTS)
    wanted = {param.name for param in discover.discover.params} - {"format_", "as_json", "tz"} | {"out"}
    assert wanted == set(discovery.run.__kwdefaults__ or discovery.run.__annotations__) - {"return"}
