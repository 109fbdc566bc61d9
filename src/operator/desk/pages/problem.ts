import { html } from '../html.ts';
import type { Visit } from '../visit.ts';
import { documentOf, shell, wordmark, type Page } from './layout.ts';

const TITLES: Readonly<Record<number, string>> = {
  403: 'Not allowed',
  404: 'Not found',
  409: 'Not possible now',
  429: 'Too many requests',
  503: 'The journal does not answer',
};

const WAYS: Readonly<Record<number, string>> = {
  403: 'The form may be older than your session: open the page again. Or your token’s role does not allow this.',
  404: 'Start again from the desk.',
  429: 'Wait a minute, then try again.',
  503: 'Agents are still served. This page needs the database. Try again when it answers.',
};

export interface Problem {
  readonly status: number;
  readonly message: string;
}

/** Why a page cannot be shown, and what to do next. */
export function problemPage({ status, message }: Problem, visit: Visit | undefined): string {
  const page: Page = {
    title: TITLES[status] ?? 'Something went wrong',
    body: html`<div class="empty bad">
      <p class="empty-title">${message}</p>
      <p>${WAYS[status] ?? 'See the proxy’s log for details.'}</p>
      <p>
        ${status !== 404 && html`<a class="button" href="${visit?.path ?? '/'}">Try again</a>`}
        <a class="button ${status !== 404 && 'quiet'}" href="/">To the desk</a>
      </p>
    </div>`,
  };
  if (visit !== undefined) return shell(visit, page);
  return documentOf(
    page,
    html`<main class="door" id="main">
      <p>${wordmark}</p>
      <h1>${page.title}</h1>
      ${page.body}
    </main>`,
  );
}
