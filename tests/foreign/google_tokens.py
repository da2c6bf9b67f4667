"""Google's library for Python (google-auth) gets tokens from the stand-in for Google: a service account that acts for a
user, and a user who signed in.

What to use is JSON on standard input, what came of it JSON on standard output."""

import json
import sys
import urllib.parse

import google.auth.exceptions
import google.auth.transport.requests
import google.oauth2.credentials
import google.oauth2.service_account
import requests

MAIL = "https://mail.google.com/"
REDIRECT = "http://localhost:1/sign-in/callback"

given = json.load(sys.stdin)
session = requests.Session()
session.verify = given["ca"]
transport = google.auth.transport.requests.Request(session)
client = {"client_id": given["web"]["client_id"], "client_secret": given["web"]["secret"]}


def as_service_account(user):
    credentials = google.oauth2.service_account.Credentials.from_service_account_info(
        {**given["service_account"], "token_uri": f"{given['base']}/token"},
        scopes=[MAIL],
        subject=user,
    )
    try:
        credentials.refresh(transport)
    except google.auth.exceptions.RefreshError as error:
        return {"error": error.args[1]["error"], "description": error.args[1]["error_description"]}
    return {"has_token": bool(credentials.token)}


def sign_in(**more):
    """A user's sign-in by code: what the token endpoint answered."""
    asked = {
        "client_id": client["client_id"],
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": f"{MAIL} openid email",
        "state": "s",
        **more,
    }
    page = f"{given['base']}/o/oauth2/v2/auth?{urllib.parse.urlencode(asked)}"
    answer = session.post(page, data={"account": given["user"]}, allow_redirects=False)
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))
    form = {
        **client,
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": REDIRECT,
    }
    return session.post(f"{given['base']}/token", data=form).json()


def refresh(token):
    credentials = google.oauth2.credentials.Credentials(
        None, refresh_token=token, token_uri=f"{given['base']}/token", **client
    )
    try:
        credentials.refresh(transport)
    except google.auth.exceptions.RefreshError as error:
        return {"error": error.args[1]["error"], "description": error.args[1]["error_description"]}
    return {"has_token": bool(credentials.token), "scopes": credentials.granted_scopes}


offline = sign_in(access_type="offline", prompt="consent")
online = sign_in()
refreshed = refresh(offline["refresh_token"])
session.post(f"{given['base']}/control/revoke", json={"user": given["user"]})
json.dump(
    {
        "service_account": as_service_account(given["user"]),
        "undelegated": as_service_account(given["stranger"]),
        "unknown": as_service_account("nobody@makler.test"),
        "offline_gives": sorted(offline),
        "online_gives": sorted(online),
        "refreshed": refreshed,
        "revoked": refresh(offline["refresh_token"]),
    },
    sys.stdout,
)
