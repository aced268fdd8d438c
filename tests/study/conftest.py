from tests.cli.conftest import saidpo as saidpo  # a fixture
