from switchgear.control.services import Services


def test_every_job_has_a_name_of_its_own_and_a_period(desk):
    table = desk.services.table()
    assert len({job.name for job in table}) == len(table) >= 7
    assert all(job.period_s > 0 and job.first_s >= 0 for job in table)


def test_every_service_works_on_one_publication_and_one_handle(desk):
    services: Services = desk.services
    for name in ("config", "keys", "credentials", "models", "freezes"):
        assert getattr(services, name)._publication is services.publication
        assert getattr(services, name)._control is services.control
    assert services.keys._stops is services.freezes._stops is services.config._stops is services.stops
