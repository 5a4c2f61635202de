"""Level 5: the admin API, the jobs, the publisher. Off the request path; may be down for an hour."""
