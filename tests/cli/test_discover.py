from switchgear.cli import discover, discovery
from switchgear.discover import files, formats


def test_the_bounds_and_formats_of_the_help_are_those_of_the_search():
    assert discover.FILE_BYTES_MAX == files.FILE_BYTES_MAX
    assert set(formats.FORMATS) <= set(discover.OUTPUTS)
    wanted = {param.name for param in discover.discover.params} - {"format_", "as_json", "tz"} | {"out"}
    assert wanted == set(discovery.run.__kwdefaults__ or discovery.run.__annotations__) - {"return"}
