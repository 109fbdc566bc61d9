import { concernsOf, type ShownSurvey } from '../../survey-words.ts';
import { count, counted, when } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { RunShown } from './runs.ts';

/** The members of a backfill's document that a page shows. */
interface Imported {
  readonly digest?: string;
  readonly skipped?: readonly { readonly owner: string; readonly reason: string; readonly items?: number }[];
  readonly mapping?: readonly { readonly from: string; readonly to: string }[];
}

const SKIPPED_SHOWN = 100;

/** What a backfill found before it wrote, what it left out and why, and how each member was mapped. */
export function importPanels(run: RunShown): Html | false {
  if (run.kind !== 'backfill') return false;
  const imported = (run.report?.['services'] ?? {}) as Readonly<Record<string, Imported>>;
  return html`${Object.entries(run.survey ?? {}).map(([service, survey]) =>
    panel(service, survey, imported[service]),
  )}`;
}

function panel(service: string, survey: ShownSurvey, imported: Imported = {}): Html {
  return html`<section class="panel" aria-labelledby="d-${service}">
    <h2 id="d-${service}">${service} <span class="of">found before the start, and imported</span></h2>
    ${'not_listed' in survey ? html`<p class="notice warn">◆ Left out: ${survey.not_listed}</p>` : surveyed(survey)}
    ${leftOut(imported.skipped ?? [])}${mapped(imported)}
  </section>`;
}

function surveyed(survey: Exclude<ShownSurvey, { not_listed: string }>): Html {
  const { lanes, items, newest_at: newest, owners_from: from } = survey;
  return html`<p>
      ${counted(lanes ?? 0, 'lane')}${from === 'journal' && ', from the journal'},
      ${counted(items ?? 0, 'item')}${newest !== null && newest !== undefined && html`, the newest of ${when(newest)}`}.
    </p>
    <ul class="plain">
      ${concernsOf(survey).map(
        ({ words, count: times, owners }) =>
          html`<li>
            <span class="state warn">◆ ${count(times)}</span> ${words}${
              owners.length > 0 &&
              html`<p class="note words">${owners.map((owner) => html`<code>${owner}</code> `)}</p>`
            }
          </li>`,
      )}
    </ul>`;
}

function leftOut(skipped: NonNullable<Imported['skipped']>): Html | false {
  if (skipped.length === 0) return false;
  return html`<h3>
      Left out
      ${skipped.length > SKIPPED_SHOWN && html`<span class="of">the first ${SKIPPED_SHOWN} of ${count(skipped.length)}</span>`}
    </h3>
    <ul class="plain">
      ${skipped
        .slice(0, SKIPPED_SHOWN)
        .map(
          ({ owner, reason, items }) =>
            html`<li class="words">
              <code>${owner}</code> ${items !== undefined && `${counted(items, 'item')}, `}${reason}
            </li>`,
        )}
    </ul>`;
}

function mapped({ mapping = [], digest }: Imported): Html | false {
  if (digest === undefined) return false;
  return html`<details class="fold">
    <summary>How members were mapped</summary>
    <ul class="plain">
      ${mapping.map(({ from, to }) => html`<li class="words"><code>${from}</code> → ${to}</li>`)}
    </ul>
    <p class="note">
      Digest of all lanes: <code>${digest}</code>. Full document: <code>crossfade runs show</code>.
    </p>
  </details>`;
}
