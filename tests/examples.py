"""Examples: how Hypothesis makes them, in every test.

A busy machine takes its time: no example has a deadline, nor do they all together. Where one fails
it is printed so that ``@reproduce_failure`` tries it again. In CI they are the same each time: that
is Hypothesis' own profile there, which this one begins with.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "collab",
    settings.default,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("collab")
