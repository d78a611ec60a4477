import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from provisioning.domain.errors import SettingsError
from provisioning.settings import Settings, from_environment, from_file

TENANT = "11111111-aaaa-4aaa-8aaa-000000000001"
GUID = "22222222-BBBB-4BBB-8BBB-000000000002"
AZURITE = "UseDevelopmentStorage=true"
CLOUD = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9v;EndpointSuffix=core.windows.net"
REQUIRED = {
    "AzureWebJobsStorage": CLOUD,
    "AZURE_TENANT_ID": TENANT,
    "KEY_VAULT_URL": "https://v.vault.azure.net",
}
MARKER = "qzmarkerqz"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def read(**env: str) -> Settings:
    return Settings.from_env({**REQUIRED, **env})


def faults(**env: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(**env)
    return list(caught.value.faults)


def names(**env: str) -> list[str]:
    return [fault.partition(":")[0] for fault in faults(**env)]


def test_the_defaults_are_those_of_the_design() -> None:
    settings = read()
    assert settings.tenant.authority_host == "https://login.microsoftonline.com"
    assert settings.tenant.authority == f"https://login.microsoftonline.com/{TENANT}"
    assert settings.tenant.graph_endpoint == "https://graph.microsoft.com"
    assert settings.tenant.key_vault_url == "https://v.vault.azure.net"
    assert settings.tenant.verified_domains == ()
    assert settings.tenant.registrar_object_id is None
    assert settings.allowed_resources == {}
    assert settings.secrets.lifetime == timedelta(days=180)
    assert settings.secrets.rotate_before == timedelta(days=30)
    assert settings.secrets.overlap == timedelta(days=7)
    assert settings.secrets.proof_count == 3
    assert settings.secrets.proof_timeout == timedelta(minutes=5)
    assert settings.secrets.publish_bound == timedelta(minutes=6)
    assert settings.threads == 32
    assert (settings.client_id, settings.ca_bundle, settings.has_identity_endpoint) == (None, None, False)
    assert (settings.storage.local, settings.local_vault) == (False, False)


def test_everything_can_be_set() -> None:
    settings = read(
        AZURE_CLIENT_ID=GUID,
        AZURE_AUTHORITY_HOST="https://login.microsoftonline.us/",
        GRAPH_ENDPOINT=" https://graph.microsoft.us ",
        REGISTRAR_OBJECT_ID=GUID,
        VERIFIED_DOMAINS="Contoso.com, fabrikam.example,",
        SECRET_LIFETIME="P90D",
        SECRET_ROTATE_BEFORE="P10D",
        SECRET_OVERLAP="PT36H",
        SECRET_PROOF_COUNT="5",
        SECRET_PROOF_TIMEOUT="PT90S",
        PYTHON_THREADPOOL_THREAD_COUNT="8",
        REQUESTS_CA_BUNDLE=__file__,
        IDENTITY_ENDPOINT="http://127.0.0.1:41741/msi/token",
        CALLER_AUTH="key",
    )
    assert settings.client_id == GUID.lower()
    assert settings.tenant.authority_host == "https://login.microsoftonline.us"
    assert settings.tenant.graph_endpoint == "https://graph.microsoft.us"
    assert settings.tenant.registrar_object_id == GUID.lower()
    assert settings.tenant.verified_domains == ("contoso.com", "fabrikam.example")
    assert settings.secrets.lifetime == timedelta(days=90)
    assert settings.secrets.rotate_before == timedelta(days=10)
    assert settings.secrets.overlap == timedelta(hours=36)
    assert settings.secrets.proof_count == 5
    assert settings.secrets.proof_timeout == timedelta(seconds=90)
    assert settings.threads == 8
    assert settings.ca_bundle == __file__
    assert settings.has_identity_endpoint


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", ["", "   "], ids=["empty", "blank"])
def test_a_required_setting_that_is_missing_is_named_with_what_it_should_be(name: str, value: str) -> None:
    [fault] = faults(**{name: value})
    assert fault.startswith(f"{name}: is required")


def test_all_wrong_settings_are_named_together() -> None:
    wrong = {
        "AzureWebJobsStorage": "",
        "AZURE_TENANT_ID": "contoso",
        "AZURE_CLIENT_ID": "x",
        "AZURE_AUTHORITY_HOST": "http://login",
        "GRAPH_ENDPOINT": "graph",
        "KEY_VAULT_URL": "https://v.vault.azure.net/?x",
        "REGISTRAR_OBJECT_ID": "x",
        "VERIFIED_DOMAINS": "-",
        "SECRET_LIFETIME": "six months",
        "SECRET_ROTATE_BEFORE": "30",
        "SECRET_OVERLAP": "P1W",
        "SECRET_PROOF_COUNT": "0",
        "SECRET_PROOF_TIMEOUT": "5m",
        "PYTHON_THREADPOOL_THREAD_COUNT": "many",
        "CALLER_AUTH": "open",
        "NOTIFY_WEBHOOK_URL": "http://notices.example",
        "NOTIFY_WEBHOOK_SECRET": "secret",
        "NOTIFY_WEBHOOK_FORMAT": "html",
        "CALLBACK_HOSTS": "https://ci.contoso.example",
        "CALLBACK_SIGNING_KEY": "whsec_x",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "key",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example",
        "GRANTS": "yes",
    }
    assert sorted(set(names(**wrong))) == sorted(wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AZURE_TENANT_ID", MARKER),
        ("AZURE_CLIENT_ID", MARKER),
        ("REGISTRAR_OBJECT_ID", MARKER),
        ("KEY_VAULT_URL", f"http://{MARKER}"),
        ("KEY_VAULT_URL", f"https://user:{MARKER}@v.vault.azure.net"),
        ("KEY_VAULT_URL", f"https://v.vault.azure.net/#{MARKER}"),
        ("KEY_VAULT_URL", f"https://[{MARKER}"),
        ("GRAPH_ENDPOINT", f"https://graph.microsoft.com?{MARKER}"),
        ("AZURE_AUTHORITY_HOST", MARKER),
        ("VERIFIED_DOMAINS", f"*.{MARKER}"),
        ("SECRET_LIFETIME", MARKER),
        ("SECRET_PROOF_COUNT", MARKER),
        ("PYTHON_THREADPOOL_THREAD_COUNT", MARKER),
        ("CALLER_AUTH", MARKER),
        ("NOTIFY_WEBHOOK_URL", f"http://notices.example/?token={MARKER}"),
        ("NOTIFY_WEBHOOK_URL", f"https://{MARKER}@notices.example"),
        ("NOTIFY_WEBHOOK_SECRET", MARKER),
        ("NOTIFY_WEBHOOK_FORMAT", MARKER),
        ("CALLBACK_HOSTS", f"{MARKER}/x"),
        ("CALLBACK_SIGNING_KEY", f"whsk_{MARKER}"),
        ("NOTIFY_WEBHOOK_SECRET", f"whsec_{MARKER}"),
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", MARKER),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{MARKER}.example"),
        ("GRANTS", MARKER),
        ("REQUESTS_CA_BUNDLE", f"/no/such/{MARKER}"),
        ("AzureWebJobsStorage__clientId", MARKER),
    ],
)
def test_a_wrong_setting_is_named_but_its_value_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{name: value})
    assert name in [fault.partition(":")[0] for fault in caught.value.faults]
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("name", ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "REGISTRAR_OBJECT_ID"])
@pytest.mark.parametrize("value", [TENANT[:-1], f"{{{TENANT}}}", TENANT.replace("-", ""), TENANT + ",x"])
def test_an_id_is_a_guid(name: str, value: str) -> None:
    assert names(**{name: value}) == [name]


@pytest.mark.parametrize(
    ("auth", "asked"), [("", True), ("key", True), ("entra", False), (" entra ", False), ("x", True)]
)
def test_wrong_settings_say_whether_the_host_asks_for_keys_all_the_same(auth: str, asked: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    with pytest.raises(SettingsError) as caught:
        read(AZURE_TENANT_ID="x", CALLER_AUTH=auth)
    assert caught.value.keys_are_asked is asked


def test_telemetry_goes_where_either_setting_says_and_nowhere_without_them() -> None:
    insights = {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=x"}
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example/"}
    there = [read(**each).telemetry for each in ({}, insights, collector, insights | collector)]
    places = [each and (each.connection_string, each.collector) for each in there]
    key, url = "InstrumentationKey=x", "https://collector.example"
    assert places == [None, (key, None), (None, url), (key, url)]
    assert key not in repr(there)


@pytest.mark.parametrize(("name", "prefix"), [("NOTIFY_WEBHOOK_SECRET", "whsec_"), ("CALLBACK_SIGNING_KEY", "whsk_")])
@pytest.mark.parametrize(
    ("spoil", "fine"),
    [
        (lambda text: text, True),
        (lambda text: f"{text[:9]}!{text[9:]}", False),
        (lambda text: text[:-4], False),
        (lambda text: text.partition("_")[2], False),
        (lambda text: text.upper(), False),
    ],
    ids=["whole", "a character that base64 has not", "cut off", "without its prefix", "another prefix"],
)
def test_a_key_is_base64_after_its_prefix_and_whole(
    name: str,
    prefix: str,
    spoil: Callable[[str], str],
    fine: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    others = {"NOTIFY_WEBHOOK_URL": "https://n.example", "CALLBACK_HOSTS": "ci.contoso.example"}
    keys = {"NOTIFY_WEBHOOK_SECRET": WEBHOOK_SECRET, "CALLBACK_SIGNING_KEY": f"whsk_{WEBHOOK_SECRET[6:]}"}
    changed = {name: spoil(prefix + base64.b64encode(b"k" * (32 if prefix == "whsk_" else 24)).decode())}
    given = {**others, **keys, **changed}
    if fine:
        read(**given)
    else:
        assert names(**given) == [name]


# --- where things are -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["KEY_VAULT_URL", "GRAPH_ENDPOINT", "AZURE_AUTHORITY_HOST"])
@pytest.mark.parametrize(
    "value",
    [
        "http://host.example",
        "ftp://host.example",
        "host.example",
        "https://",
        "https://[",
        "https://host.example:0",
        "https://host.example:99999",
        "https://host.example/?a=b",
        "https://host.example/#a",
        "https://user@host.example",
        "https://host .example",
        "https://localhost:8443",
        "https://LOCALHOST",
        "https://127.0.0.1:8443",
        "https://[::1]:8443",
    ],
)
def test_an_endpoint_in_the_cloud_is_an_https_url_of_another_machine(name: str, value: str) -> None:
    assert names(**{name: value}) == [name]


@pytest.mark.parametrize("name", ["KEY_VAULT_URL", "GRAPH_ENDPOINT", "AZURE_AUTHORITY_HOST"])
@pytest.mark.parametrize("value", ["https://localhost:8443", "https://127.0.0.1:8443", "http://localhost:8080"])
@pytest.mark.parametrize(
    "storage",
    [
        AZURITE,
        "usedevelopmentstorage=TRUE",
        "AccountName=devstoreaccount1;AccountKey=Zm9v;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;",
    ],
    ids=["by name", "in another case", "by its end point"],
)
def test_beside_the_storage_emulator_an_endpoint_may_be_on_this_machine(name: str, value: str, storage: str) -> None:
    assert read(AzureWebJobsStorage=storage, **{name: value}).storage.local


def test_a_vault_is_local_only_on_this_machine_and_beside_the_storage_emulator() -> None:
    assert read(AzureWebJobsStorage=AZURITE, KEY_VAULT_URL="https://localhost:8443").local_vault
    assert read(AzureWebJobsStorage=AZURITE, KEY_VAULT_URL="https://localhost:8443", **OWNERS).vault_id == VAULT_ID
    assert names(AzureWebJobsStorage=AZURITE, **OWNERS) == ["KEY_VAULT_ID"]
    assert not read(AzureWebJobsStorage=AZURITE).local_vault


@pytest.mark.parametrize(
    "storage",
    [CLOUD, CLOUD + ";TableEndpoint=https://a.table.core.windows.net/", "TableEndpoint=https://localhost.evil/"],
)
def test_storage_in_the_cloud_is_not_local(storage: str) -> None:
    assert not read(AzureWebJobsStorage=storage).storage.local


def test_queues_are_beside_the_tables() -> None:
    assert read(AzureWebJobsStorage=AZURITE).storage.queue_service_uri == "http://127.0.0.1:10001/devstoreaccount1"
    named = read(AzureWebJobsStorage="", AzureWebJobsStorage__accountName="account1").storage
    assert named.queue_service_uri == "https://account1.queue.core.windows.net"
    assert read().storage.queue_service_uri == "https://a.queue.core.windows.net"
    elsewhere = CLOUD.replace("https", "http").replace("windows.net", "chinacloudapi.cn")
    assert read(AzureWebJobsStorage=elsewhere).storage.queue_service_uri == "http://a.queue.core.chinacloudapi.cn"
    assert read(AzureWebJobsStorage="AccountName=a").storage.queue_service_uri == "https://a.queue.core.windows.net"
    said = f"{CLOUD};QueueEndpoint=https://queues.contoso.example/a"
    assert read(AzureWebJobsStorage=said).storage.queue_service_uri == "https://queues.contoso.example/a"


@pytest.mark.parametrize(
    ("connection", "key", "signature"),
    [
        (CLOUD, ("a", "Zm9v"), None),
        ("AccountName=a;SharedAccessSignature=sv=1&sig=x%3D", None, "sv=1&sig=x%3D"),
        ("TableEndpoint=https://a.table.core.windows.net;AccountKey=Zm9v", None, None),
    ],
)
def test_a_connection_string_has_a_key_of_a_named_account_or_a_signature(
    connection: str, key: tuple[str, str] | None, signature: str | None
) -> None:
    storage = read(AzureWebJobsStorage=connection).storage
    assert (storage.account_key, storage.shared_access_signature) == (key, signature)


def test_the_settings_of_a_process_are_those_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert from_environment().tenant.id == TENANT


def test_storage_by_identity_needs_an_account_name_or_a_table_uri() -> None:
    named = read(AzureWebJobsStorage="", AzureWebJobsStorage__accountName="account1").storage
    assert named.table_service_uri == "https://account1.table.core.windows.net"
    at = read(
        AzureWebJobsStorage="",
        AzureWebJobsStorage__tableServiceUri="https://account1.table.core.usgovcloudapi.net/",
        AzureWebJobsStorage__clientId=GUID,
    ).storage
    assert at.table_service_uri == "https://account1.table.core.usgovcloudapi.net"
    assert at.client_id == GUID.lower()
    assert (named.connection_string, at.connection_string) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accountName", "a/b?c"),
        ("accountName", "evil.example/"),
        ("accountName", "ab"),
        ("tableServiceUri", "junk"),
        ("tableServiceUri", "https://["),
        ("tableServiceUri", "http://account1.table.core.windows.net"),
    ],
)
def test_storage_by_identity_is_refused_where_a_token_could_go_astray(name: str, value: str) -> None:
    assert f"AzureWebJobsStorage__{name}" in names(**{"AzureWebJobsStorage": "", f"AzureWebJobsStorage__{name}": value})


@pytest.mark.parametrize("storage", ["TableEndpoint=https://[", "junk", "a=b;c", ";;=;", "=" * 10])
def test_a_broken_connection_string_never_counts_as_local_and_never_hides_other_faults(storage: str) -> None:
    assert "AZURE_TENANT_ID" in names(AzureWebJobsStorage=storage, AZURE_TENANT_ID="x")
    assert "KEY_VAULT_URL" in names(AzureWebJobsStorage=storage, KEY_VAULT_URL="https://localhost")


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["*.contoso.com", "https://contoso.com", "contoso.com/", "con toso.com", ".contoso.com", "contoso.com.", "a_b.com"],
)
def test_verified_domains_are_domain_names(value: str) -> None:
    assert names(VERIFIED_DOMAINS=f"fine.example,{value}") == ["VERIFIED_DOMAINS"]


def test_a_top_level_domain_is_nobodys_verified_domain() -> None:
    assert names(VERIFIED_DOMAINS="com") == ["VERIFIED_DOMAINS"]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("https://pay.contoso.com", "https://pay.contoso.com"),
        ("https://Pay.Contoso.com/API/", "https://pay.contoso.com/api"),
        ("api://Payments", "api://payments"),
        (f"api://{TENANT.upper()}/Payments", "https://payments"),
        ("urn:contoso:payments", "urn:contoso:payments"),
        ("http://contoso.onmicrosoft.com/pay", "http://contoso.onmicrosoft.com/pay"),
    ],
)
def test_an_allowed_resource_is_known_by_the_name_that_references_are_compared_by_and_kept_as_written(
    written: str, canonical: str
) -> None:
    assert read(ALLOWED_RESOURCES=f" {written} , ").allowed_resources == {canonical: written.rstrip("/")}


@pytest.mark.parametrize("form", ["{}", "api://{}", "API://{}", f"api://{TENANT}/{{}}"])
def test_an_allowed_resource_that_is_named_by_a_client_id_goes_by_it(form: str) -> None:
    assert read(ALLOWED_RESOURCES=form.format(GUID)).allowed_resources == {GUID.lower(): GUID.lower()}


@pytest.mark.parametrize(
    "name",
    [
        "00000003-0000-0000-c000-000000000000",
        "00000003-0000-0000-C000-000000000000",
        "api://00000003-0000-0000-c000-000000000000",
        "https://graph.microsoft.com",
        "https://Graph.Microsoft.com/",
        "https://graph.microsoft.com:443/.default",
        "https://canary.graph.microsoft.com",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
        "https://microsoftgraph.chinacloudapi.cn",
        "00000002-0000-0000-c000-000000000000",
        "https://graph.windows.net",
        "797f4846-ba00-4fd7-ba43-dac1f8f63013",
        "https://management.azure.com/",
        "https://management.core.windows.net",
        "https://management.usgovcloudapi.net",
        "https://management.chinacloudapi.cn",
        "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
        "https://vault.azure.net",
        "https://v.vault.azure.net",
    ],
)
def test_microsoft_graph_azures_management_and_key_vault_are_never_allowed(name: str) -> None:
    [fault] = faults(ALLOWED_RESOURCES=f"api://payments,{name}")
    assert fault.startswith("ALLOWED_RESOURCES: must not hold")


@pytest.mark.parametrize(
    "junk",
    [
        *("payments", "https://", "api://", "https:", "*", "https://*.contoso.com", "api://a b", "https://a.example#x"),
        *("{" + GUID + "}", GUID[:-1], "api://" + "x" * 250, "https://bücher.example", "Microsoft Graph", ";", "null"),
    ],
)
def test_an_allowed_resource_is_a_client_id_or_an_identifier_uri(junk: str) -> None:
    assert names(ALLOWED_RESOURCES=f"api://payments,{junk}") == ["ALLOWED_RESOURCES"]


# --- how long secrets live ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        ({"SECRET_LIFETIME": "P37D"}, ["SECRET_LIFETIME"]),
        ({"SECRET_LIFETIME": "P37DT1S"}, []),
        ({"SECRET_ROTATE_BEFORE": "P7D"}, ["SECRET_ROTATE_BEFORE"]),
        ({"SECRET_ROTATE_BEFORE": "P7DT1S"}, []),
        ({"SECRET_OVERLAP": "PT11M59S"}, ["SECRET_OVERLAP"]),
        ({"SECRET_OVERLAP": "PT12M"}, []),
        ({"SECRET_OVERLAP": "PT12M", "SECRET_PROOF_TIMEOUT": "PT5M1S"}, ["SECRET_OVERLAP"]),
        ({"SECRET_PROOF_TIMEOUT": "PT0S"}, ["SECRET_PROOF_TIMEOUT"]),
        (
            {"SECRET_LIFETIME": "P1D", "SECRET_ROTATE_BEFORE": "P1D", "SECRET_OVERLAP": "P1D"},
            ["SECRET_LIFETIME", "SECRET_ROTATE_BEFORE"],
        ),
    ],
    ids=lambda value: " ".join(f"{key}={text}" for key, text in value.items()) if isinstance(value, dict) else "",
)
def test_a_secret_outlives_its_rotation_and_the_rotation_its_overlap(policy: dict[str, str], wrong: list[str]) -> None:
    if wrong:
        assert names(**policy) == wrong
    else:
        assert read(**policy)


def test_beside_the_storage_emulator_seconds_are_enough_but_the_order_still_holds() -> None:
    short: dict[str, Any] = {
        "AzureWebJobsStorage": AZURITE,
        "SECRET_LIFETIME": "PT60S",
        "SECRET_ROTATE_BEFORE": "PT20S",
        "SECRET_OVERLAP": "PT10S",
    }
    assert read(**short).secrets.publish_bound == timedelta(seconds=5)
    assert names(**{**short, "SECRET_LIFETIME": "PT30S"}) == ["SECRET_LIFETIME"]
    assert names(**{**short, "SECRET_ROTATE_BEFORE": "PT10S"}) == ["SECRET_ROTATE_BEFORE"]


def test_callers_are_known_by_key_or_by_the_platform_and_in_no_other_way() -> None:
    assert read(CALLER_AUTH="entra").front_door is not None
    assert read(CALLER_AUTH="key").front_door is None
    assert names(CALLER_AUTH="anonymous") == ["CALLER_AUTH"]
    assert names(CALLER_AUTH="KEY") == ["CALLER_AUTH"]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1_0", "٣", "x", "9" * 5000])
def test_a_count_is_a_whole_number_of_at_least_one(value: str) -> None:
    assert names(SECRET_PROOF_COUNT=value) == ["SECRET_PROOF_COUNT"]


# --- who is told ----------------------------------------------------------------------------------------------------


def test_without_a_webhook_nobody_is_told() -> None:
    assert read().webhook is None
    assert read(NOTIFY_WEBHOOK_URL=" ", NOTIFY_WEBHOOK_SECRET="").webhook is None


def test_a_webhook_has_its_url_unchanged_and_its_key_decoded_and_shows_neither() -> None:
    url = f"https://Notices.example/a/?token={MARKER}/"
    settings = read(NOTIFY_WEBHOOK_URL=f" {url} ", NOTIFY_WEBHOOK_SECRET=WEBHOOK_SECRET)
    assert settings.webhook is not None
    assert (settings.webhook.url, settings.webhook.key) == (url, b"k" * 32)
    assert MARKER not in repr(settings)
    assert "kkkk" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://notices.example",
        "https://notices.example/#a",
        "https://user:text@notices.example",
        "https://localhost/hook",
        "https://127.0.0.1:8443",
        "https://",
        "notices.example",
        "https://notices.example/a b",
    ],
)
def test_a_webhook_in_the_cloud_is_an_https_url_of_another_machine(url: str) -> None:
    assert names(NOTIFY_WEBHOOK_URL=url, NOTIFY_WEBHOOK_SECRET=WEBHOOK_SECRET) == ["NOTIFY_WEBHOOK_URL"]


def test_beside_the_storage_emulator_a_webhook_may_be_on_this_machine() -> None:
    url = "http://localhost:9000/hook?a=b"
    assert read(AzureWebJobsStorage=AZURITE, NOTIFY_WEBHOOK_URL=url, NOTIFY_WEBHOOK_SECRET=WEBHOOK_SECRET).webhook


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_webhook_secret_has_24_to_64_bytes(size: int) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()
    assert names(NOTIFY_WEBHOOK_URL="https://notices.example", NOTIFY_WEBHOOK_SECRET=secret) == [
        "NOTIFY_WEBHOOK_SECRET"
    ]


@pytest.mark.parametrize("size", [24, 64])
def test_a_webhook_secret_may_be_as_short_and_as_long_as_the_standard_says(size: int) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()
    assert read(NOTIFY_WEBHOOK_URL="https://notices.example", NOTIFY_WEBHOOK_SECRET=secret).webhook


@pytest.mark.parametrize(
    "secret",
    [
        WEBHOOK_SECRET.removeprefix("whsec_"),
        WEBHOOK_SECRET.replace("whsec_", "whsk_"),
        WEBHOOK_SECRET + "!",
        "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/notify)",
    ],
    ids=["no prefix", "another prefix", "not base64", "a reference that the platform did not resolve"],
)
def test_a_webhook_secret_is_written_as_the_standard_says(secret: str) -> None:
    assert names(NOTIFY_WEBHOOK_URL="https://notices.example", NOTIFY_WEBHOOK_SECRET=secret) == [
        "NOTIFY_WEBHOOK_SECRET"
    ]


def test_a_webhook_has_both_its_url_and_its_secret() -> None:
    assert names(NOTIFY_WEBHOOK_URL="https://notices.example") == ["NOTIFY_WEBHOOK_SECRET"]
    assert names(NOTIFY_WEBHOOK_SECRET=WEBHOOK_SECRET) == ["NOTIFY_WEBHOOK_URL"]


@pytest.mark.parametrize(
    "place",
    [
        "https://contoso.blob.core.windows.net/policy/policy.json",
        "https://contoso.blob.core.usgovcloudapi.net/policy/deep/policy.json",
        "/home/site/wwwroot/policy.json",
        "nowhere/policy.json",
    ],
)
def test_a_policy_is_a_path_or_a_blob_and_whether_it_is_there_is_no_matter_of_settings(place: str) -> None:
    assert read(POLICY=place).policy == place


def test_without_a_setting_the_policy_is_the_one_in_the_package() -> None:
    assert Path(read().policy).read_bytes() == Path("provisioning/policy.json").read_bytes()


@pytest.mark.parametrize(
    "place",
    [
        f"https://contoso.blob.core.windows.net/policy/policy.json?sig={MARKER}",
        f"https://{MARKER}.example/policy/policy.json",
        f"https://contoso.blob.core.windows.net.{MARKER}.example/policy/policy.json",
        f"https://{MARKER}@contoso.blob.core.windows.net/policy/policy.json",
        "https://contoso.blob.core.windows.net/policy.json",
        "http://contoso.blob.core.windows.net/policy/policy.json",
        "http://127.0.0.1:10000/devstoreaccount1/policy/policy.json",
        "file:///policy.json",
    ],
)
def test_a_token_for_storage_is_sent_to_no_other_host(place: str) -> None:
    assert names(POLICY=place) == ["POLICY"]
    assert MARKER not in " ".join(faults(POLICY=place))


@pytest.mark.parametrize("storage", [AZURITE, "UseDevelopmentStorage=true"])
def test_beside_the_local_storage_a_blob_of_that_storage_will_do_and_no_other_on_this_machine(storage: str) -> None:
    local = {"AzureWebJobsStorage": storage}
    blob = "http://127.0.0.1:10000/devstoreaccount1/policy/policy.json"
    assert read(**local, POLICY=blob).policy == blob
    assert names(**local, POLICY=blob.replace("10000", "10009")) == ["POLICY"]


def test_the_key_of_the_storage_connection_is_for_blobs_of_its_own_account() -> None:
    own, other = (f"https://{name}.blob.core.windows.net/policy/policy.json" for name in ("a", "b"))
    storage = read().storage
    assert (storage.has_blob(own), storage.has_blob(other), storage.account_key) == (True, False, ("a", "Zm9v"))
    by_identity = Settings.from_env({**REQUIRED, "AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "abc"})
    assert (by_identity.storage.has_blob(own), by_identity.storage.account_key) == (False, None)


def test_cards_for_teams_need_no_secret_and_take_none() -> None:
    url, teams = "https://prod.api.powerplatform.com/workflows/1?sig=x", {"NOTIFY_WEBHOOK_FORMAT": "teams"}
    webhook = read(NOTIFY_WEBHOOK_URL=url, **teams).webhook
    assert webhook is not None
    assert (webhook.url, webhook.teams) == (url, True)
    assert "sig" not in repr(webhook)
    assert names(NOTIFY_WEBHOOK_URL=url, NOTIFY_WEBHOOK_SECRET=WEBHOOK_SECRET, **teams) == ["NOTIFY_WEBHOOK_SECRET"]
    assert read(**teams).webhook is None


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("registrar.azurewebsites.net", "https://registrar.azurewebsites.net/api/page/"),
        ("", None),
        ("localhost:7071", None),
        ("evil.example/x#", None),
    ],
)
def test_the_page_is_where_the_platform_says_that_this_app_is(host: str, page: str | None) -> None:
    assert read(WEBSITE_HOSTNAME=host).page == page


def test_callbacks_need_hosts_and_a_key_of_ed25519() -> None:
    key = "whsk_" + base64.b64encode(bytes(32)).decode()
    allowed = read(CALLBACK_HOSTS="ci.contoso.example, *.Fabrikam.example", CALLBACK_SIGNING_KEY=key).callbacks
    assert allowed is not None
    assert (allowed.hosts, allowed.seed) == (("ci.contoso.example", "*.fabrikam.example"), bytes(32))
    assert not [each for each in (key, repr(allowed.seed)) if each in repr(allowed)]
    assert read().callbacks is None
    alone = faults(CALLBACK_HOSTS="ci.contoso.example"), faults(CALLBACK_SIGNING_KEY=key)
    assert alone == (
        ["CALLBACK_SIGNING_KEY: is required beside CALLBACK_HOSTS"],
        ["CALLBACK_HOSTS: is required beside CALLBACK_SIGNING_KEY"],
    )
    for wrong in ("*", "*.", "https://ci.contoso.example", "ci.contoso.example:443", "a.*.example", "localhost"):
        assert names(CALLBACK_HOSTS=wrong, CALLBACK_SIGNING_KEY=key) == ["CALLBACK_HOSTS"]
    for wrong in (key[:-4], key.replace("whsk_", "whsec_"), "whsk_" + base64.b64encode(bytes(64)).decode()):
        assert names(CALLBACK_HOSTS="ci.contoso.example", CALLBACK_SIGNING_KEY=wrong) == ["CALLBACK_SIGNING_KEY"]


SLACK = {
    "SLACK_WORKSPACE": "T0CONTOSO",
    "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99111222085a",
    "CALLER_AUTH": "entra",
}


def test_without_a_workspace_there_is_no_chat() -> None:
    assert (read().workspace, read().slack_bot_token) == (None, None)


def test_a_workspace_has_what_signs_for_it_and_shows_it_nowhere() -> None:
    settings = read(**SLACK, SLACK_BOT_TOKEN="xoxb-1", WEBSITE_HOSTNAME="r.contoso.com", CHAT_SESSION="PT1H")
    workspace = settings.workspace
    assert workspace is not None
    assert (workspace.id, workspace.session, workspace.local) == ("T0CONTOSO", timedelta(hours=1), False)
    assert workspace.signing_secret == SLACK["SLACK_SIGNING_SECRET"].encode()
    assert (workspace.page, workspace.has_forms) == ("https://r.contoso.com/api/page/", True)
    assert settings.slack_bot_token == "xoxb-1"
    assert not [each for each in (SLACK["SLACK_SIGNING_SECRET"], "xoxb-1") if each in repr(settings)]


@pytest.mark.parametrize(("session", "hours"), [("", 8), ("PT5M", 1 / 12), ("P1D", 24)])
def test_a_chat_knows_a_person_for_eight_hours_or_for_five_minutes_to_a_day(session: str, hours: float) -> None:
    settings = read(**SLACK, TEAMS_BOT_ID=GUID, CHAT_SESSION=session)
    assert settings.workspace is not None
    assert settings.bot is not None
    assert not settings.workspace.has_forms
    assert settings.workspace.session == settings.bot.session == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"SLACK_WORKSPACE": ""}, ["SLACK_WORKSPACE"]),
        ({"SLACK_SIGNING_SECRET": ""}, ["SLACK_SIGNING_SECRET"]),
        ({"SLACK_WORKSPACE": "contoso"}, ["SLACK_WORKSPACE"]),
        ({"SLACK_SIGNING_SECRET": "@Microsoft.KeyVault(x)"}, ["SLACK_SIGNING_SECRET"]),
        ({"SLACK_BOT_TOKEN": "xoxp-1"}, ["SLACK_BOT_TOKEN"]),
        ({"CHAT_SESSION": "PT4M59S"}, ["CHAT_SESSION"]),
        ({"CHAT_SESSION": "P1DT1S"}, ["CHAT_SESSION"]),
        ({"CALLER_AUTH": "key"}, ["SLACK_WORKSPACE"]),
    ],
)
def test_a_chat_needs_its_workspace_what_signs_for_it_and_callers_who_sign_in(
    changes: dict[str, str], wrong: list[str]
) -> None:
    assert names(**SLACK | changes) == wrong


TEAMS = {"TEAMS_BOT_ID": "3F6F1C1E-6f0b-4a53-9d0e-5b1f6c8f2a12", "CALLER_AUTH": "entra"}


def test_a_bot_is_of_the_tenant_and_goes_by_the_bot_framework_of_its_cloud() -> None:
    assert read().bot is None
    bot = read(**TEAMS, WEBSITE_HOSTNAME="r.contoso.com", CHAT_SESSION="PT1H").bot
    assert bot is not None
    assert (bot.id, bot.tenant, bot.session) == (TEAMS["TEAMS_BOT_ID"].lower(), TENANT, timedelta(hours=1))
    assert (bot.page, bot.local) == ("https://r.contoso.com/api/page/", False)
    assert (bot.cloud.login, bot.cloud.scope) == (
        "https://login.botframework.com",
        "https://api.botframework.com/.default",
    )
    assert bot.answers_at("https://smba.trafficmanager.net/emea/")
    government = read(**TEAMS, AZURE_AUTHORITY_HOST="https://login.microsoftonline.us").bot
    assert government is not None
    assert government.cloud.login == "https://login.botframework.azure.us"
    assert government.cloud.scope == "https://api.botframework.us/.default"
    assert government.answers_at("https://smba.infra.gov.teams.microsoft.us/gcch/")
    assert not government.answers_at("https://smba.trafficmanager.net/emea/")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"TEAMS_BOT_ID": "registrar"}, ["TEAMS_BOT_ID"]),
        ({"CALLER_AUTH": "key"}, ["TEAMS_BOT_ID"]),
        ({"TEAMS_LOGIN_ENDPOINT": "http://login.botframework.com"}, ["TEAMS_LOGIN_ENDPOINT"]),
        ({"TEAMS_LOGIN_ENDPOINT": "https://localhost:8443"}, ["TEAMS_LOGIN_ENDPOINT"]),
        ({"AZURE_AUTHORITY_HOST": "https://login.chinacloudapi.cn"}, ["TEAMS_BOT_ID"]),
        ({"CHAT_SESSION": "PT1M"}, ["CHAT_SESSION"]),
    ],
)
def test_a_bot_needs_its_id_callers_who_sign_in_and_a_cloud_that_has_bots(
    changes: dict[str, str], wrong: list[str]
) -> None:
    assert names(**TEAMS | changes) == wrong


VAULT_ID = (
    "/subscriptions/7f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a11/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/vault-1"
)
VAULT_1 = {"KEY_VAULT_URL": "https://vault-1.vault.azure.net"}
OWNERS = {"KEY_VAULT_ID": VAULT_ID, "CALLER_AUTH": "entra"}


def test_owners_are_given_their_secrets_only_where_the_platform_names_callers() -> None:
    assert read(**VAULT_1, KEY_VAULT_ID=VAULT_ID, CALLER_AUTH="entra").vault_id == VAULT_ID
    assert read().vault_id is None
    assert names(**VAULT_1, KEY_VAULT_ID=VAULT_ID) == ["KEY_VAULT_ID"]
    assert names(**VAULT_1, KEY_VAULT_ID=VAULT_ID, CALLER_AUTH="key") == ["KEY_VAULT_ID"]
    assert read(**VAULT_1, KEY_VAULT_ID=VAULT_ID, AzureWebJobsStorage=AZURITE).vault_id == VAULT_ID


@pytest.mark.parametrize(
    "wrong", ["vault-1", f"{VAULT_ID}/secrets/one", f"{VAULT_ID}x", VAULT_ID.replace("vaults", "hsms")]
)
def test_the_id_of_the_vault_is_that_of_the_one_that_has_the_secrets(wrong: str) -> None:
    assert names(**VAULT_1, KEY_VAULT_ID=wrong, CALLER_AUTH="entra") == ["KEY_VAULT_ID"]


FHIR_ID = (
    "/subscriptions/7f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a11/resourceGroups/rg/providers/Microsoft.HealthcareApis/"
    "workspaces/work/fhirservices/records"
)
FHIR_URL = "https://work-records.fhir.azurehealthcareapis.com"


def test_data_roles_are_given_only_where_the_platform_names_callers() -> None:
    listed = f"{FHIR_URL}/={FHIR_ID}/, https://FHIR.contoso.com={FHIR_ID}"
    services = {FHIR_URL: FHIR_ID, "https://fhir.contoso.com": FHIR_ID}
    assert read(FHIR_SERVICE_IDS=listed, CALLER_AUTH="entra").fhir_services == services
    assert read().fhir_services == {}
    assert names(FHIR_SERVICE_IDS=listed) == ["FHIR_SERVICE_IDS"]
    assert read(FHIR_SERVICE_IDS=listed, AzureWebJobsStorage=AZURITE).fhir_services == services


@pytest.mark.parametrize(
    "wrong",
    [
        FHIR_ID,
        FHIR_URL,
        f"={FHIR_ID}",
        f"{FHIR_URL}={FHIR_ID}x/y",
        f"{FHIR_URL}={FHIR_ID.replace('records', 'others')}",
        f"{FHIR_URL}={FHIR_ID.rpartition('/fhirservices')[0]}",
        f"{FHIR_URL}={VAULT_ID}",
        f"{FHIR_URL}={FHIR_ID},{FHIR_URL}/={FHIR_ID}",
        f"{FHIR_URL}/path={FHIR_ID}",
        f"http://fhir.contoso.com={FHIR_ID}",
        f"https://graph.microsoft.com={FHIR_ID}",
        f"https://fhir.contoso.com?x={FHIR_ID}",
    ],
)
def test_a_fhir_service_is_listed_by_its_url_and_its_own_id(wrong: str) -> None:
    assert names(FHIR_SERVICE_IDS=wrong, CALLER_AUTH="entra") == ["FHIR_SERVICE_IDS"]


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("https://login.microsoftonline.com", "https://management.azure.com"),
        ("https://login.microsoftonline.us", "https://management.usgovcloudapi.net"),
        ("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"),
    ],
)
def test_resource_manager_is_that_of_the_cloud(authority: str, expected: str) -> None:
    assert read(AZURE_AUTHORITY_HOST=authority).resource_manager == expected


def test_a_file_of_settings_leaves_out_what_needs_to_know_who_names_callers(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    reference = "@Microsoft.KeyVault(SecretUri=https://vault-1.vault.azure.net/secrets/slack)"
    chats = {"SLACK_WORKSPACE": "T0CONTOSO", "SLACK_SIGNING_SECRET": reference, "SLACK_BOT_TOKEN": reference, **TEAMS}
    values = {**REQUIRED, **VAULT_1, "KEY_VAULT_ID": VAULT_ID, **chats, "CALLER_AUTH": "entra"}
    settings.write_text(json.dumps({"Values": values}), encoding="utf-8")
    read_ = from_file(str(settings))
    assert (read_.vault_id, read_.workspace, read_.slack_bot_token, read_.bot) == (None, None, None, None)


def test_a_file_of_settings_leaves_out_what_key_vault_has_with_what_needs_it_and_keeps_the_rest(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    reference = "@Microsoft.KeyVault(SecretUri=https://vault-1.vault.azure.net/secrets/key)"
    webhook = {"NOTIFY_WEBHOOK_URL": "https://notices.example", "NOTIFY_WEBHOOK_SECRET": WEBHOOK_SECRET}
    callbacks = {
        "CALLBACK_HOSTS": "ci.contoso.example",
        "CALLBACK_SIGNING_KEY": f"whsk_{base64.b64encode(bytes(32)).decode()}",
    }
    for hidden in ("NOTIFY_WEBHOOK_SECRET", "CALLBACK_SIGNING_KEY"):
        values = REQUIRED | webhook | callbacks | {hidden: reference}
        settings.write_text(json.dumps({"Values": values}), encoding="utf-8")
        found = from_file(str(settings))
        assert (found.webhook is None, found.callbacks is None) == (hidden in webhook, hidden in callbacks)


def test_grants_are_given_where_that_is_on_alone() -> None:
    assert [read(GRANTS=each).grants for each in ("", "off", "on")] == [False, False, True]


def test_sign_ins_are_read_where_that_is_on_and_in_the_global_cloud_alone() -> None:
    assert not read().sign_in_activity
    assert read(SIGN_IN_ACTIVITY="on").sign_in_activity
    assert faults(SIGN_IN_ACTIVITY="yes") == ["SIGN_IN_ACTIVITY: must be off or on"]
    [fault] = faults(SIGN_IN_ACTIVITY="on", AZURE_AUTHORITY_HOST="https://login.microsoftonline.us")
    assert fault.startswith("SIGN_IN_ACTIVITY: must be off in a national cloud")


def test_a_replaced_secret_that_is_used_stays_for_four_overlaps_unless_told_otherwise() -> None:
    assert read().secrets.overlap_limit == timedelta(days=28)
    assert read(SECRET_OVERLAP="P3D").secrets.overlap_limit == timedelta(days=12)
    assert read(SECRET_OVERLAP_LIMIT="P7D").secrets.overlap_limit == timedelta(days=7)
    assert faults(SECRET_OVERLAP_LIMIT="P6D") == ["SECRET_OVERLAP_LIMIT: must be at least SECRET_OVERLAP"]
