import { anchorOf, GLOSSARY } from '../glossary.ts';
import { html } from '../../views/html.ts';
import type { Page } from './layout.ts';

/** The meaning of the terms used on the desk. */
export async function glossaryPage(): Promise<Page> {
  return {
    title: 'Glossary',
    lead: 'Terms used on these pages.',
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
