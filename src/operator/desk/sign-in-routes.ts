import type { FastifyInstance } from 'fastify';
import type { TokenBook } from '../operator-access.ts';
import type { Visitors } from './visitors.ts';
import { SIGN_INS_A_MINUTE } from './security.ts';
import { fromOurForm } from './sessions.ts';
import { goTo, type Notice, placeOf } from './visit.ts';
import { html } from '../views/html.ts';
import { documentOf, noticeBar, wordmark } from './pages/layout.ts';

interface SignInForm {
  Body: { readonly token?: string; readonly to?: string };
  Querystring: { readonly to?: string };
}

/** Signs in with a token, and signs out. */
export function registerSignIn(
  app: FastifyInstance,
  { tokens, visitors }: { readonly tokens: TokenBook; readonly visitors: Visitors },
): void {
  app.get<SignInForm>('/sign-in', (request, reply) => {
    const to = placeOf(request.query.to);
    if (visitors.known(request) !== undefined) return goTo(reply, to);
    return reply.type('text/html').send(signInPage({ csrf: reply.generateCsrf(), to }));
  });
  const limited = { config: { rateLimit: { max: SIGN_INS_A_MINUTE, timeWindow: '1 minute' } } };
  const guarded = { ...limited, preHandler: fromOurForm(app) };
  app.post<SignInForm>('/sign-in', guarded, async (request, reply) => {
    const { token = '', to } = request.body;
    const caller = tokens.find(token.trim());
    if (caller === undefined) {
      const notice = { tone: 'bad', text: 'Invalid token.' } as const;
      const form = { csrf: reply.generateCsrf(), to: placeOf(to), notice };
      return reply.code(401).type('text/html').send(signInPage(form));
    }
    // A new session id, so that a person who knew the earlier one does not get in.
    await request.session.regenerate();
    visitors.admit(request, caller.name);
    return goTo(reply, placeOf(to));
  });
  app.post('/sign-out', { preHandler: fromOurForm(app) }, async (request, reply) => {
    await request.session.destroy();
    return goTo(reply, '/sign-in');
  });
}

/** Asks for a token. @param to the page to open afterwards */
function signInPage(form: { readonly csrf: string; readonly to: string; readonly notice?: Notice }): string {
  return documentOf(
    { title: 'Sign in', body: html`` },
    html`<main class="door" id="main">
      <p>${wordmark}</p>
      <h1>Operator’s desk</h1>
      ${form.notice !== undefined && noticeBar(form.notice)}
      <form method="post" action="/sign-in" class="stack">
        <input type="hidden" name="_csrf" value="${form.csrf}" />
        <input type="hidden" name="to" value="${form.to}" />
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          required
          autocomplete="current-password"
          spellcheck="false"
          autofocus
          aria-describedby="token-help"
        />
        <p class="help" id="token-help">
          One of <code>operator.tokens</code> in the proxy’s configuration. Its role decides what you may
          change. Every change is audited under its name.
        </p>
        <button class="primary">Sign in</button>
      </form>
    </main>`,
  );
}
