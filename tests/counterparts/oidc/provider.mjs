// A real OpenID provider for a client with a secret and an app. Reads {library, pem, client_id, client_secret, app_id,
// redirect_uri} as a line of JSON from standard input, writes its URL, and ends when standard input does.
import { createServer } from 'node:https';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';

const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
const [line] = await once(lines, 'line');
const given = JSON.parse(line);
const { Provider } = await import(given.library);
const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const server = createServer({ key: given.pem, cert: given.pem });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `https://localhost:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: given.client_id,
    client_secret: given.client_secret,
    redirect_uris: [given.redirect_uri],
    id_token_signed_response_alg: 'ES256',
    require_auth_time: true,
  }, {
    client_id: given.app_id,
    token_endpoint_auth_method: 'none',
    redirect_uris: [given.redirect_uri],
    id_token_signed_response_alg: 'ES256',
  }],
  // Its person is described in the ID token, and not by the userinfo endpoint alone.
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['only for tests'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@acme.example`, email_verified: true, name: id }),
  }),
  jwks: { keys: [{ ...jwk, kid: 'signing', use: 'sig' }] },
  pkce: { required: () => true },
});
server.on('request', provider.callback());
console.log(issuer);
