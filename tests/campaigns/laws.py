"""How often a property is tried: seldom, or often with ``--hypothesis-profile=full``; the same cases each time."""

from hypothesis import HealthCheck, settings

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
FULL = 150


def law(examples: int = 15, most: int = FULL) -> settings:
    """Settings of a property of ``examples`` cases; of ``most`` in the full profile."""
    full = settings.get_current_profile_name() == "full"
    return settings(
        max_examples=most if full else examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=QUIET,
    )
