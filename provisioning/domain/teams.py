"""What comes from Microsoft Teams by the Bot Framework: for which bot, who signs for it, where answers may go. Pure.

Sources: "Authentication with the Bot Connector API" (issuer, keys, endorsements, `serviceurl`, five minutes of skew);
microsoft/teams.py, `auth/token_validator.py`, and microsoft/teams.ts, `cloud-environment.ts` (the same of the clouds);
"Send proactive messages" of Teams (the hosts of the government's clouds). Of the cloud in China no host of answers is
documented, so there is no bot in it.
"""

from datetime import datetime, timedelta
from typing import Final

from provisioning.domain.chat import answers_at
from provisioning.domain.clouds import PUBLIC, US_GOVERNMENT, Cloud
from provisioning.domain.values import dataclass

# How old an activity may be when it comes, and for how long it is remembered that it came.
OLDEST: Final = timedelta(minutes=5)
REMEMBERED: Final = timedelta(hours=1)
LARGEST_BODY: Final = 64 * 1024
CHANNEL: Final = "msteams"


@dataclass(frozen=True, slots=True)
class BotCloud:
    """A cloud's Bot Framework: where its keys are, who issues its tokens, whom ours are for, where answers go."""

    login: str
    issuer: str
    hosts: frozenset[str]

    @property
    def scope(self) -> str:
        """What a token that answers is for."""
        return f"{self.issuer}/.default"


_CLOUDS: Final = {
    PUBLIC: BotCloud(
        "https://login.botframework.com",
        "https://api.botframework.com",
        frozenset({"smba.trafficmanager.net", "smba.infra.gcc.teams.microsoft.com"}),
    ),
    US_GOVERNMENT: BotCloud(
        "https://login.botframework.azure.us",
        "https://api.botframework.us",
        frozenset({"smba.infra.gov.teams.microsoft.us", "smba.infra.dod.teams.microsoft.us"}),
    ),
}


def bot_cloud(cloud: Cloud) -> BotCloud | None:
    """Return the Bot Framework of a cloud; None where none is documented."""
    return _CLOUDS.get(cloud)


@dataclass(frozen=True, slots=True)
class Bot:
    """The bot that people of one tenant ask. `session` is for how long a sign-in counts, `page` where to sign in.

    On the `local` stack alone an answer may go to this machine.
    """

    id: str
    tenant: str
    cloud: BotCloud
    session: timedelta
    page: str | None
    local: bool = False

    def answers_at(self, url: str) -> bool:
        """Whether an answer may be sent to a service at this address."""
        return "?" not in url and answers_at(url, self.cloud.hosts, local=self.local)

    def is_new(self, timestamp: str, now: datetime) -> bool:
        """Whether an activity of this time comes in time; raise ValueError for what is no time."""
        at = datetime.fromisoformat(timestamp)
        if at.tzinfo is None:
            raise ValueError("a time without its offset from UTC")
        return abs(now - at) <= OLDEST


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with the bot: where its service is, and which one it is there."""

    service: str
    id: str
