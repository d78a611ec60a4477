"""Which rows of a copy may be put back, and by which names what this service gives in Azure is known again."""

from typing import Any

import pytest

from provisioning.domain.azure_roles import DATA_ROLES, RoleAssignment, data_permissions, secret_scope
from provisioning.domain.copies import StoredRow, kind_of


@pytest.mark.parametrize(
    ("table", "content", "kind"),
    [
        ("registrations", {"RowKey": "~id_000001"}, "events"),
        ("registrations", {"RowKey": "id", "status": "deleted"}, "deletedRegistrations"),
        ("registrations", {"RowKey": "id", "status": "active"}, None),
        ("registrations", {}, None),
        ("names", {"RowKey": "n", "heldFor": "id"}, "heldNames"),
        ("names", {"RowKey": "n"}, None),
        ("due", {"RowKey": "~id", "status": "deleted", "heldFor": "id"}, None),
    ],
)
def test_only_what_tells_of_the_past_is_put_back(table: str, content: Any, kind: str | None) -> None:
    assert kind_of(StoredRow(table, content)) == kind


def test_a_role_assignment_has_the_name_that_follows_from_what_it_gives_where_and_to_whom() -> None:
    """Those that an earlier version made have it too."""
    reader, writer = DATA_ROLES["FHIR Data Reader"], DATA_ROLES["FHIR Data Writer"]
    assert RoleAssignment(reader, "/Scope", "principal").name == "5698954e-971a-5ddd-9c52-62c87e0678f2"
    assert RoleAssignment(reader, "/scope", "PRINCIPAL").name == "5698954e-971a-5ddd-9c52-62c87e0678f2"
    others = (
        RoleAssignment(writer, "/scope", "p"),
        RoleAssignment(reader, "/other", "p"),
        RoleAssignment(reader, "/scope", "p"),
    )
    assert len({each.name for each in others}) == 3


def test_a_data_role_is_asked_for_by_the_id_of_its_definition() -> None:
    [permission] = data_permissions(["FHIR Data Reader"])
    assert (permission.id, permission.value) == ("4c8d0bbc-75d3-4935-991f-5f3c56d81508", "FHIR Data Reader")
    assert secret_scope("/vault", "name") == "/vault/secrets/name"
