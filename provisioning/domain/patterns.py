"""What a regular expression can say of a field, for whoever makes or checks requests by the description.

Whatever is accepted matches. What matches may still break a rule that none of them says, such as one about the other
fields, or a URI that the platform does not take. ECMA-262, which JSON Schema asks for, and Python read them alike.
"""

from typing import Final


def _in_any_case(text: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in text)


_CONTROL: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_HEX: Final = "[0-9a-fA-F]"
_GUID: Final = rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"

TEXT: Final = rf"^[^\s{_CONTROL}](?:[^{_CONTROL}]*[^\s{_CONTROL}])?$"
CLAIM: Final = rf"^[^\s*{_CONTROL}](?:[^*{_CONTROL}]*[^\s*{_CONTROL}])?$"
GUID: Final = f"^{_GUID}$"
REGISTRATION_ID: Final = f"^{_HEX}{{8}}-{_GUID}$"
EMAIL: Final = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+$"
DURATION: Final = r"^P(?=[0-9T])(?:[0-9]{1,5}D)?(?:T(?=[0-9])(?:[0-9]{1,7}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,9}S)?)?$"
CERTIFICATE: Final = r"^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$"

# --- names of scopes and app roles ----------------------------------------------------------------------------------

_NAME: Final = r"A-Za-z0-9:!#$%&'()*+,\-.;<=>?@\[\]^_`{|}~"

PERMISSION_NAME: Final = rf"^(?!\.|.*://)[/{_NAME}]+$"
SCOPE_NAME: Final = rf"^(?!\.|.*://|(?:patient|user|system)/|launch/)[/{_NAME}]+$"
DEFINED_SCOPE_NAME: Final = rf"^(?!\.)[{_NAME}]+$"

# --- URIs -----------------------------------------------------------------------------------------------------------

_HTTP, _HTTPS, _LOCALHOST = map(_in_any_case, ("http", "https", "localhost"))
_LABEL: Final = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ADDRESS: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_HOST: Final = rf"(?:(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z])?|{_ADDRESS})"
_PORT: Final = "(?::[1-9][0-9]{0,4})?"
_SEGMENT: Final = r"(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+"
_IN_PATH: Final = rf"(?:[A-Za-z0-9&+./:=@\[\]_~-]|%{_HEX}{{2}})"
_REST: Final = rf"(?:[A-Za-z0-9&+./:=?@\[\]_~-]|%{_HEX}{{2}})"
_WEB: Final = (
    rf"(?:{_HTTPS}://(?:{_HOST}|{_LOCALHOST})|{_HTTP}://(?:{_LOCALHOST}|127\.0\.0\.1)){_PORT}(?:[/?]{_REST}*)?"
)
_SCHEMES: Final = "|".join(
    (
        *map(_in_any_case, ("brk-multihub", "ms-appx-web", "msauth", "urn")),
        f"{_in_any_case('msal')}{_GUID}",
        r"[A-Za-z]{2,}(?:\.[A-Za-z0-9-]+)+",  # a domain of the app's own, in reverse order
    )
)

SERVER_URL: Final = f"^{_HTTPS}://{_HOST}{_PORT}(?:/{_SEGMENT})*/*$"
ISSUER: Final = f"^{_HTTPS}://{_HOST}{_PORT}(?:/{_IN_PATH}*)?$"
CALLBACK_URL: Final = f"^{_HTTPS}://{_HOST}(?:[/?]{_REST}*)?$"
LOGOUT_URL: Final = f"^{_HTTPS}://(?:{_HOST}|{_LOCALHOST}){_PORT}(?:[/?]{_REST}*)?$"
WEB_REDIRECT_URI: Final = f"^{_WEB}$"
PUBLIC_REDIRECT_URI: Final = f"^(?:{_WEB}|(?:{_SCHEMES}):{_REST}+)$"

# --- headers --------------------------------------------------------------------------------------------------------

ENTITY_TAG: Final = r'(?:W/)?"[!#-~]*"'
ENTITY_TAGS: Final = rf"^(?:\*|{ENTITY_TAG}(?:[ \t]*,[ \t]*{ENTITY_TAG})*)$"

# --- times ----------------------------------------------------------------------------------------------------------

_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DAY: Final = r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
DAY_OR_MOMENT: Final = rf"^{_DAY}(?:T{_TIME}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{_TIME}))?$"
