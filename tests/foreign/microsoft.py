"""Microsoft's library for Python (msal) signs in at the stand-in for Entra ID, in every way that it knows.

What to use is JSON on standard input, what came of it JSON on standard output."""

import json
import sys
import urllib.parse

import msal
import requests

SCOPES = [
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
]
APP_SCOPES = ["https://outlook.office365.com/.default"]
REDIRECT = "http://localhost:1/sign-in/callback"

given = json.load(sys.stdin)
authority = f"{given['base']}/{given['tenant']}"


def confidential(credential):
    return msal.ConfidentialClientApplication(
        given["web"]["client_id"],
        client_credential=credential,
        authority=authority,
        instance_discovery=False,
        verify=given["ca"],
    )


def click(address):
    """The account's button on the page; the answer's parameters, as a browser brings them back."""
    answer = requests.post(
        address, data={"account": given["user"]}, allow_redirects=False, verify=given["ca"]
    )
    back = urllib.parse.urlsplit(answer.headers["Location"])
    return dict(urllib.parse.parse_qsl(back.query))


def by_code(app):
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=REDIRECT)
    return app.acquire_token_by_auth_code_flow(flow, click(flow["auth_uri"]))


def by_device():
    app = msal.PublicClientApplication(
        given["native"]["client_id"],
        authority=authority,
        instance_discovery=False,
        verify=given["ca"],
    )
    flow = app.initiate_device_flow(SCOPES)
    approved = requests.post(
        f"{given['base']}/control/device",
        json={"user_code": flow["user_code"], "account": given["user"]},
        verify=given["ca"],
    )
    assert approved.json()["known"], approved.text
    return app.acquire_token_by_device_flow(flow)


def told(result):
    """What may be told of a result: no token."""
    names = ["error", "error_codes", "suberror", "error_uri", "trace_id", "correlation_id", "timestamp"]
    shown = {name: result[name] for name in names if name in result}
    claims = result.get("id_token_claims", {})
    return {
        **shown,
        "description": result.get("error_description"),
        "has_access_token": "access_token" in result,
        "has_refresh_token": "refresh_token" in result,
        "who": claims.get("preferred_username"),
        "scope": result.get("scope"),
    }


app = confidential(given["web"]["secret"])
code = by_code(app)
first = app.acquire_token_by_refresh_token(code["refresh_token"], SCOPES)
second = app.acquire_token_by_refresh_token(first["refresh_token"], SCOPES)
again = app.acquire_token_by_refresh_token(first["refresh_token"], SCOPES)
certificate = given["certificate"]
by_sha1 = {"private_key": certificate["key"], "thumbprint": certificate["sha1"]}
by_sha256 = {"private_key": certificate["key"], "public_certificate": certificate["certificate"]}
json.dump(
    {
        "code": told(code),
        "refreshed": told(first),
        "refreshed_again": told(second),
        "used_token": told(again),
        "rotated": len({code["refresh_token"], first["refresh_token"], second["refresh_token"]}),
        "device": told(by_device()),
        "secret": told(app.acquire_token_for_client(APP_SCOPES)),
        "wrong_secret": told(confidential("wrong").acquire_token_for_client(APP_SCOPES)),
        "certificate_sha1": told(confidential(by_sha1).acquire_token_for_client(APP_SCOPES)),
        "certificate_sha256": told(confidential(by_sha256).acquire_token_for_client(APP_SCOPES)),
        "certificate_code": told(by_code(confidential(by_sha1))),
    },
    sys.stdout,
)
