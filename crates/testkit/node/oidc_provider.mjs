// An OpenID provider of others (oidc-provider, certified): whoever asks with
// the header `x-account` is signed in as that account without a form.
//
// oidc_provider.mjs FOLDER PORT REDIRECT_URI
//
// FOLDER holds node_modules. Client `hilum` signs with RS256, `symmetric` with
// HS256. An account is an address; one that begins with `unverified` is.

import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, port, redirectUri] = process.argv.slice(2);
const library = path.resolve(folder, 'node_modules/oidc-provider/lib/index.js');
const { Provider } = await import(pathToFileURL(library));

const client = { client_secret: 'a secret between two servers', redirect_uris: [redirectUri] };
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { ...client, client_id: 'hilum' },
    { ...client, client_id: 'symmetric', id_token_signed_response_alg: 'HS256' },
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'HS256'] },
  claims: { email: ['email', 'email_verified'], profile: ['name'], openid: ['sub'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: id,
      email_verified: !id.startsWith('unverified'),
      name: `Person ${id.split('@')[0]}`,
    }),
  }),
});

provider.use(async (context, next) => {
  if (!context.path.startsWith('/interaction/')) return next();
  const { prompt, params, session } = await provider.interactionDetails(context.req, context.res);
  let result;
  if (prompt.name === 'login') {
    result = { login: { accountId: context.get('x-account') } };
  } else {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { consent: { grantId: await grant.save() } };
  }
  context.respond = false;
  await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: true });
});

provider.listen(Number(port), '127.0.0.1');
