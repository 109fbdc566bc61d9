import { anchorOf, GLOSSARY } from '../glossary.ts';
import { html } from '../html.ts';
import type { Page } from './layout.ts';

/** What the words of the desk mean. */
export async function glossaryPage(): Promise<Page> {
  return {
    title: 'Glossary',
    lead: 'What the words on these pages mean.',
    body: html`<section class="panel" aria-label="Words">
      <dl class="glossary">
        ${Object.entries(GLOSSARY).map(
          ([name, meaning]) =>
            html`<div id="${anchorOf(name)}">
              <dt>${name}</dt>
              <dd>${meaning}</dd>
            </div>`,
        )}
      </dl>
    </section>`,
  };
}
