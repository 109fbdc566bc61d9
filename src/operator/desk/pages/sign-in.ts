import { html } from '../html.ts';
import type { Notice } from '../visit.ts';
import { documentOf, noticeBar, wordmark } from './layout.ts';

/** Asks for a token. @param to the page to open afterwards */
export function signInPage(form: {
  readonly csrf: string;
  readonly to: string;
  readonly notice?: Notice;
}): string {
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
