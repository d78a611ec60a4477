"""The scopes of OpenID Connect: Entra has four, which belong to Microsoft Graph whatever else a client calls.

Their ids are the same in every tenant and every cloud. Source: "Microsoft Graph permissions reference".
"""

from collections.abc import Mapping
from typing import Final

GRAPH_CLIENT_ID: Final = "00000003-0000-0000-c000-000000000000"
OPENID_SCOPES: Final[Mapping[str, str]] = {
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
}
# What SMART and OpenID Connect name beside them and Entra has not, each with what comes nearest in Entra.
NEAREST: Final[Mapping[str, str]] = {"online_access": "offline_access", "address": "profile", "phone": "profile"}
