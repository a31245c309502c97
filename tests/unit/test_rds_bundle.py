"""The authorities that vouch for RDS: shipped as they were published, and not about to expire."""

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from cryptography import x509

from aurora_restore.postgres import BUNDLE

KINDS = ("RSA2048 G1", "RSA4096 G1", "ECC384 G1")
README = files("aurora_restore") / "data" / "README.md"


@pytest.fixture(scope="module")
def authorities() -> dict[str, x509.Certificate]:
    """Every certificate of the bundle, by its common name."""
    name = x509.NameOID.COMMON_NAME
    certificates = x509.load_pem_x509_certificates(BUNDLE.read_bytes())
    found = {str(each.subject.get_attributes_for_oid(name)[0].value): each for each in certificates}
    assert len(found) == len(certificates)
    return found


def test_bundle_is_the_one_that_the_readme_describes() -> None:
    """
    The file has the hash that is written beside it.
    """
    digest = hashlib.sha256(BUNDLE.read_bytes()).hexdigest()

    assert f"`{digest}`" in README.read_text()


def test_each_region_has_its_three_roots(authorities: dict[str, x509.Certificate]) -> None:
    """
    All are RDS's own roots: self-signed authorities, three for each Region and nothing else.
    """
    regions = Counter[str]()
    for name, each in authorities.items():
        told = re.fullmatch(rf"Amazon RDS ([a-z]+-[a-z]+-\d) Root CA ({'|'.join(KINDS)})", name)
        assert told, name
        regions[told[1]] += 1
        each.verify_directly_issued_by(each)
        assert each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    assert set(regions.values()) == {len(KINDS)}
    assert len(regions) == 28
    assert {"us-east-1", "us-west-2", "eu-central-1", "il-central-1"} <= regions.keys()


def test_no_root_expires_soon(authorities: dict[str, x509.Certificate]) -> None:
    """
    Every root is valid for 90 days more: else renew the bundle as its README says.
    """
    soon = datetime.now(UTC) + timedelta(days=90)

    assert [name for name, each in authorities.items() if each.not_valid_after_utc < soon] == []
    assert [
        name for name, each in authorities.items() if each.not_valid_before_utc > datetime.now(UTC)
    ] == []
