"""As for the other tests, what is missing is skipped, and fails under continuous integration."""

from tests.conftest import require as require
