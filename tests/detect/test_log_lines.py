import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect import log_lines
from switchgear.detect.log_lines import Entry

AT = 1_724_493_600.0  # 2024-08-24 10:00:00 UTC
ZEEK = "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tquery\tqtype_name\n"
SAMPLES = {
    "dnsmasq": ("Aug 24 10:00:00 dnsmasq[123]: query[A] api.openai.com from 10.0.0.5", AT),
    "coredns": ('2024-08-24T10:00:00Z [INFO] 10.0.0.5:5353 - 1 "A IN api.openai.com. udp 40 false 512" NOERROR qr 90 0.01s', AT),
    "bind": ("24-Aug-2024 10:00:00.123 queries: info: client @0x7f 10.0.0.5#5353 (api.openai.com): query: api.openai.com IN A +", AT),
    "unbound": ("[1724493600] unbound[7:0] info: 10.0.0.5 api.openai.com. A IN", AT),
    "squid": ("1724493600.000    245 10.0.0.5 TCP_TUNNEL/200 5123 CONNECT api.openai.com:443 - HIER_DIRECT/1.2.3.4 -", AT),
    "common": ('10.0.0.5 - bob [24/Aug/2024:10:00:00 +0000] "CONNECT api.openai.com:443 HTTP/1.1" 200 5123', AT),
    "json": (json.dumps({"srcaddr": "10.0.0.5", "query_name": "api.openai.com.", "query_timestamp": "2024-08-24T10:00:00Z"}), AT),
    "generic": ("2024-08-24T10:00:00Z firewall allow 10.0.0.5 -> api.openai.com port 443", AT),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_is_known_and_read(name):
    line, at = SAMPLES[name]
    kind = log_lines.detect([line, line], 2024)
    assert kind.name == name
    entry = kind.read(line)
    assert entry is not None
    assert (entry.client, entry.host.rstrip("."), entry.at) == ("10.0.0.5", "api.openai.com", at)


def test_a_format_with_a_size_counts_bytes():
    assert log_lines.detect([SAMPLES["squid"][0]], 2024).read(SAMPLES["squid"][0]).count_bytes == 5123


def test_zeek_names_its_fields():
    line = "1724493600.000000\tC1\t10.0.0.5\t5353\t1.1.1.1\tapi.openai.com\tA"
    kind = log_lines.detect((ZEEK + line).split("\n"), 2024)
    assert kind.name == "zeek" and kind.read(line) == Entry("10.0.0.5", "api.openai.com", AT)
    assert kind.read("too\tfew") is None
    assert log_lines.zeek("#fields\tts\tuid") is None


@pytest.mark.parametrize(
    ("record", "client", "host"),
    [
        ({"T": "2024-08-24T10:00:00Z", "QH": "api.groq.com", "IP": "10.0.0.7"}, "10.0.0.7", "api.groq.com"),
        ({"event_type": "tls", "src_ip": "10.0.0.8", "tls": {"sni": "api.x.ai"}}, "10.0.0.8", "api.x.ai"),
        ({"event_type": "dns", "src_ip": "10.0.0.9", "dns": {"rrname": "api.x.ai"}}, "10.0.0.9", "api.x.ai"),
        ({"eventSource": "bedrock.amazonaws.com", "awsRegion": "eu-central-1", "userIdentity": {"arn": "arn:aws:iam::1:user/bob"}},
         "arn:aws:iam::1:user/bob", "bedrock-runtime.eu-central-1.amazonaws.com"),
    ],
)  # fmt: skip
def test_json_of_other_programs(record, client, host):
    entry = log_lines.detect([json.dumps(record)], 2024).read(json.dumps(record))
    assert (entry.client, entry.host) == (client, host)


def test_a_cloudtrail_document_is_read_record_by_record():
    document = json.dumps(
        {
            "Records": [
                {"eventSource": "bedrock.amazonaws.com", "sourceIPAddress": "10.1.1.1"},
                {"eventSource": "s3.amazonaws.com"},
            ]
        }
    )
    assert [e.client for e in log_lines.records_of(document.encode())] == ["10.1.1.1"]
    with pytest.raises(ValueError):
        log_lines.records_of(b"{")


@given(st.text(max_size=200))
def test_any_text_is_read_or_not_and_nothing_breaks(text):
    for kind in (*log_lines.formats(2026), log_lines.GENERIC):
        entry = kind.read(text)
        assert entry is None or isinstance(entry.host, str)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda c: st.lists(c, max_size=3) | st.dictionaries(
    st.sampled_from(["ts", "query", "client", "dns", "tls", "sni", "eventSource", "userIdentity"]), c, max_size=4), max_leaves=12))  # fmt: skip
def test_any_json_is_read_or_not_and_nothing_breaks(value):
    log_lines.detect(["{}"], 2026).read(json.dumps(value))
