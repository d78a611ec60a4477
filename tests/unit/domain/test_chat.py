"""Who somebody in a chat is, and where an answer may go."""

import re
from datetime import timedelta

import pytest

from provisioning.domain.chat import SignIn, answers_at, code_key, new_code
from tests.worlds.signed_in import ALICE
from tests.worlds.variants import NOW

HOSTS = ("hooks.slack.com", "smba.trafficmanager.net")


def test_a_sign_in_counts_until_the_session_is_over() -> None:
    signed_in, session = SignIn(ALICE, NOW), timedelta(hours=8)
    assert signed_in.counts(NOW + session - timedelta(microseconds=1), session)
    assert not signed_in.counts(NOW + session, session)


@pytest.mark.parametrize(
    ("url", "anywhere", "locally"),
    [
        *(("https://hooks.slack.com/x", True, True), ("https://hooks.slack.com/x?y", True, True)),
        *(("http://hooks.slack.com/", False, False), ("https://hooks.slack.com:443/", False, False)),
        *(("https://a@hooks.slack.com/", False, False), ("https://hooks.slack.com/#x", False, False)),
        *(("https://hooks.slack.com.evil.example/", False, False), ("https://[::1/", False, False)),
        *(("https://hooks.slack.com:x/", False, False), ("http://127.0.0.1:7071/x", False, True)),
        *(
            ("http://localhost/", False, True),
            ("http://a@localhost/", False, False),
            ("http://10.0.0.1/", False, False),
        ),
        *(("http://localhost/#x", False, False), ("hooks.slack.com", False, False)),
    ],
)
def test_an_answer_goes_by_https_to_a_host_of_the_chat_and_locally_to_this_machine(
    url: str, *, anywhere: bool, locally: bool
) -> None:
    assert answers_at(url, HOSTS, local=False) is anywhere
    assert answers_at(url, HOSTS, local=True) is locally


def test_a_code_is_typed_in_any_case_with_and_without_its_hyphens() -> None:
    code = new_code()
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){2}", code)
    assert code != new_code()
    assert (
        len({code_key(each) for each in (code, code.lower(), code.replace("-", " "), f" {code.replace('-', '')} ")})
        == 1
    )
    assert code_key(code) != code_key(code[:-1])
    assert len(code_key(code)) == 64
