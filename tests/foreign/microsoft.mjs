// Microsoft's library for Node (msal-node) signs in at the stand-in for Entra ID, in every way that it knows.
//
// What to use is JSON on standard input, what came of it JSON on standard output.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

// the packages are installed beside the build, not beside this file
const require = createRequire(process.env.STAFETTE_FOREIGN + "/");
const msal = require("@azure/msal-node");

const scopes = ["https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"];
const appScopes = ["https://outlook.office365.com/.default"];
const redirectUri = "http://localhost:1/sign-in/callback";

const given = JSON.parse(readFileSync(0, "utf8"));
const authority = `${given.base}/${given.tenant}`;
const knownAuthorities = [new URL(given.base).host];

function confidential(credential) {
  const auth = { clientId: given.web.client_id, authority, knownAuthorities, ...credential };
  return new msal.ConfidentialClientApplication({ auth });
}

// the account's button on the page; what a browser brings back
async function click(address) {
  const answer = await fetch(address, {
    method: "POST",
    body: new URLSearchParams({ account: given.user }),
    redirect: "manual",
  });
  return new URL(answer.headers.get("location")).searchParams;
}

async function byCode(app) {
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
  const asked = { scopes, redirectUri, codeChallenge: challenge, codeChallengeMethod: "S256" };
  const back = await click(await app.getAuthCodeUrl(asked));
  return app.acquireTokenByCode({ code: back.get("code"), scopes, redirectUri, codeVerifier: verifier });
}

// the newest refresh token that the library keeps
function refreshToken(app) {
  const kept = Object.values(JSON.parse(app.getTokenCache().serialize()).RefreshToken);
  return kept.at(-1).secret;
}

async function byDevice() {
  const auth = { clientId: given.native.client_id, authority, knownAuthorities };
  const app = new msal.PublicClientApplication({ auth });
  return app.acquireTokenByDeviceCode({
    scopes,
    deviceCodeCallback: ({ userCode }) => {
      fetch(`${given.base}/control/device`, {
        method: "POST",
        body: JSON.stringify({ user_code: userCode, account: given.user }),
      });
    },
  });
}

// no token is told
const told = (result) => ({ hasAccessToken: Boolean(result.accessToken), who: result.account?.username ?? null });
const refused = (error) => ({ error: error.errorCode, number: error.errorNo ?? null, text: error.errorMessage });

const app = confidential({ clientSecret: given.web.secret });
const code = await byCode(app);
const tokens = [refreshToken(app)];
const refreshed = await app.acquireTokenByRefreshToken({ refreshToken: tokens[0], scopes, forceCache: true });
tokens.push(refreshToken(app));
const again = await app.acquireTokenByRefreshToken({ refreshToken: tokens[1], scopes, forceCache: true });
tokens.push(refreshToken(app));
const used = await app.acquireTokenByRefreshToken({ refreshToken: tokens[0], scopes }).catch(refused);
const { key, sha256 } = given.certificate;
const byCertificate = confidential({ clientCertificate: { thumbprintSha256: sha256, privateKey: key } });
const wrong = confidential({ clientSecret: "wrong" });
console.log(
  JSON.stringify({
    code: told(code),
    refreshed: told(refreshed),
    refreshedAgain: told(again),
    used,
    rotated: new Set(tokens).size,
    device: told(await byDevice()),
    secret: told(await app.acquireTokenByClientCredential({ scopes: appScopes })),
    wrongSecret: await wrong.acquireTokenByClientCredential({ scopes: appScopes }).catch(refused),
    certificate: told(await byCertificate.acquireTokenByClientCredential({ scopes: appScopes })),
    certificateCode: told(await byCode(byCertificate)),
  }),
);
