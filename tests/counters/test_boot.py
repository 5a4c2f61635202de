"""The boot's clock and name."""

from switchgear.counters import boot


def test_the_boots_clock_is_the_kernels():
    """/proc/uptime counts since the boot, suspended time too (proc_uptime(5))."""
    before = boot.now_us()
    with open("/proc/uptime") as file:
        uptime_us = int(float(file.read().split()[0]) * 1_000_000)
    assert before - 10_000 <= uptime_us <= boot.now_us()


def test_a_boot_has_one_name():
    assert boot.boot_id() == boot.boot_id()
    assert len(boot.boot_id()) == 16


def test_another_boot_has_another_name(tmp_path):
    other = tmp_path / "boot_id"
    other.write_text("1b4e28ba-2fa1-11d2-883f-0016d3cca427\n")
    assert boot.boot_id(other) != boot.boot_id()
    assert len(boot.boot_id(tmp_path / "missing")) == 16
