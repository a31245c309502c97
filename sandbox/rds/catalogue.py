"""What the Region offers: engine versions, instance classes, CA certificates."""

from collections.abc import Mapping
from typing import Any, Final

from sandbox.rds import checks, versions
from sandbox.rds.circumstances import is_offered
from sandbox.rds.settings import STORAGE_TYPES

Params = Mapping[str, Any]

CLASSES: Final = ("db.r6g.large", "db.r6g.xlarge", "db.t4g.medium", "db.serverless")
DEFAULT_CERTIFICATE: Final = "rds-ca-rsa2048-g1"
CERTIFICATES: Final = (DEFAULT_CERTIFICATE, "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")


def classes() -> list[str]:
    """Return the instance classes on offer."""
    return [name for name in CLASSES if is_offered(name)]


def engine_versions(params: Params) -> list[dict[str, Any]]:
    """Return the versions of Aurora PostgreSQL on offer.

    Source: RDS API, DescribeDBEngineVersions.
    """
    wanted = params.get("EngineVersion")
    group_family = params.get("DBParameterGroupFamily")
    if params.get("Engine") not in (None, checks.ENGINE):
        return []
    return [
        _engine_version(version)
        for version in versions.versions()
        if wanted in (None, version, checks.major(version))
        and group_family in (None, checks.family(version))
        and (not params.get("DefaultOnly") or version == versions.default_version())
    ]


def _engine_version(version: str) -> dict[str, Any]:
    return {
        "Engine": checks.ENGINE,
        "EngineVersion": version,
        "MajorEngineVersion": checks.major(version),
        "DBParameterGroupFamily": checks.family(version),
        "DBEngineDescription": "Aurora (PostgreSQL)",
        "DBEngineVersionDescription": f"Aurora PostgreSQL (Compatible with PostgreSQL {version})",
        "ValidUpgradeTarget": [
            {
                "Engine": checks.ENGINE,
                "EngineVersion": target,
                "Description": f"Aurora PostgreSQL (Compatible with PostgreSQL {target})",
                "AutoUpgrade": False,
                "IsMajorVersionUpgrade": checks.major(target) != checks.major(version),
            }
            for target in versions.upgrade_targets(version)
        ],
        "ExportableLogTypes": ["iam-db-auth-error", "instance", "postgresql"],
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportsReadReplica": False,
        "SupportedEngineModes": ["provisioned"],
        "SupportedCACertificateIdentifiers": list(CERTIFICATES),
        "SupportsGlobalDatabases": True,
        "Status": "available",
    }


def orderable_options(params: Params, region: str) -> list[dict[str, Any]]:
    """Return which classes can be ordered with which version and storage.

    Source: RDS API, DescribeOrderableDBInstanceOptions.
    """
    if params.get("Engine") != checks.ENGINE:
        return []
    return [
        {
            "Engine": checks.ENGINE,
            "EngineVersion": version,
            "DBInstanceClass": name,
            "LicenseModel": "postgresql-license",
            "AvailabilityZones": [{"Name": f"{region}{zone}"} for zone in "abc"],
            "MultiAZCapable": False,
            "Vpc": True,
            "SupportsStorageEncryption": True,
            "StorageType": storage,
            "SupportsClusters": True,
            "SupportsIAMDatabaseAuthentication": True,
            "SupportsPerformanceInsights": name != "db.t4g.medium",
            "SupportsEnhancedMonitoring": True,
            "SupportedEngineModes": ["provisioned"],
            "SupportedNetworkTypes": ["DUAL", "IPV4"],
        }
        for version in versions.versions()
        if params.get("EngineVersion") in (None, version)
        for name in classes()
        if params.get("DBInstanceClass") in (None, name)
        for storage in STORAGE_TYPES
    ]
