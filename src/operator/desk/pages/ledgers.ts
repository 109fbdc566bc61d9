import { ENDPOINTS } from '../../api/endpoints.ts';
import { LEDGER_STATES } from '../../api/endpoint.ts';
import type { DeadLetter, LedgerQuery, UnknownOutcome } from '../../api/ledgers.ts';
import { count } from '../figures.ts';
import { counted } from '../../views/figures.ts';
import { spoken } from '../../views/document.ts';
import { when } from '../../views/cell-html.ts';
import { html, type Html, type Shown } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { emptyState, type Page } from './layout.ts';

const SHOWN = 200;

/** The part of a ledger that is shown: by service, open or not. */
function filterOf(
  visit: Visit,
  { query }: Asked,
): { readonly service: string; readonly state: string; readonly search: LedgerQuery } {
  const known = visit.status?.services.some(({ service }) => service === query['service']);
  const service = known === true ? (query['service'] ?? '') : '';
  const state = LEDGER_STATES.find((one) => one === query['state']) ?? 'open';
  const search = { state, limit: String(SHOWN), ...(service !== '' && { service }) };
  return { service, state, search };
}

/** The number that waits in the whole ledger, if this part gives it. Otherwise it comes from the status. */
function openIn(
  { service, state }: { readonly service: string; readonly state: string },
  found: readonly object[],
): number | undefined {
  return state === 'open' && service === '' && found.length < SHOWN ? found.length : undefined;
}

function filterBar(
  path: string,
  { service, state }: { readonly service: string; readonly state: string },
): Html {
  const at = (one: string): string => `${path}?state=${one}${service === '' ? '' : `&service=${service}`}`;
  return html`<nav class="tabs" aria-label="Which">
    ${LEDGER_STATES.map(
      (one) => html`<a href="${at(one)}" ${one === state && html`aria-current="page"`}>${one}</a>`,
    )}${service !== '' && html`<a class="off" href="${path}?state=${state}">${service} only ×<span class="unseen"> remove</span></a>`}
  </nav>`;
}

/** A link to a lane, by its key. */
export function laneLink(lane: string): Html {
  const slash = lane.indexOf('/');
  return html`<a href="/lanes/${lane.slice(0, slash)}/${encodeURIComponent(lane.slice(slash + 1))}"
    >${lane}</a
  >`;
}

/** Writes that the orchestrator refused for good. */
export async function deadLettersPage(visit: Visit, asked: Asked): Promise<Page> {
  const filter = filterOf(visit, asked);
  const { dead_letters: letters } = await visit.api.ask(ENDPOINTS.listDeadLetters, { query: filter.search });
  return {
    title: 'Dead letters',
    waiting: { '/dead-letters': openIn(filter, letters) },
    lead: 'Writes that the orchestrator refused for good. Later writes of the same lane wait. Legacy has all of these writes.',
    body: html`${filterBar('/dead-letters', filter)}${
      letters.length === 0
        ? emptyState(
            filter.state === 'open' ? 'No open dead letters' : 'No dead letters',
            'Every acknowledged write is applied on the orchestrator or is being delivered.',
          )
        : html`<div class="cards">${letters.map((letter) => letterCard(visit, letter))}</div>`
    }`,
  };
}

function letterCard(visit: Visit, letter: DeadLetter): Html {
  const { operation_id: operation, state } = letter;
  return html`<article class="panel card" aria-labelledby="l-${operation}">
    <h2 id="l-${operation}"><code>${letter.action}</code> of ${laneLink(letter.lane)}</h2>
    <p class="state ${state === 'open' ? 'bad' : ''}">
      ${state === 'open' ? '▲ ' : ''}${spoken(state)}
      <span class="note-inline"
        >· write ${count(letter.sequence)}, refused ${when(letter.refused_at)} after
        ${counted(letter.attempts, 'attempt')}</span
      >
    </p>
    <p class="words">${spoken(letter.code)}: ${letter.reason}</p>
    <p class="note">
      ${counted(letter.waiting_behind, 'later write of the lane waits', 'later writes of the lane wait')} ·
      <code>${operation}</code>
    </p>
    ${letter.resolved_by !== null && html`<p class="note">${letter.resolved_by}: ${letter.resolved_reason}</p>`}
    ${state === 'open' && letterDeeds(visit, operation)}
  </article>`;
}

function letterDeeds(visit: Visit, operation: string): Shown {
  const at = `/dead-letters/${operation}`;
  return html`<div class="deeds">
    ${foldedChange(visit, { action: `${at}/redrive`, label: 'Send it again', role: 'operator' })}
    ${foldedChange(visit, { action: `${at}/copy`, label: 'Copy the whole lane', role: 'operator' })}
    ${foldedChange(visit, { action: `${at}/skip`, label: 'Skip it for good', role: 'approver', isGrave: true })}
  </div>`;
}

/** Writes with an unknown outcome. */
export async function unknownOutcomesPage(visit: Visit, asked: Asked): Promise<Page> {
  const filter = filterOf(visit, asked);
  const { unknown_outcomes: found } = await visit.api.ask(ENDPOINTS.listUnknownOutcomes, {
    query: filter.search,
  });
  return {
    title: 'Unknown outcomes',
    waiting: { '/unknown-outcomes': openIn(filter, found) },
    lead: 'Writes with an unknown result, and how each was resolved. A late reply or a copy of the lane resolves most; a person decides the rest.',
    body: html`${filterBar('/unknown-outcomes', filter)}${
      found.length === 0
        ? emptyState(
            'No unknown outcomes',
            `No write waits for a result.${filter.state === 'open' ? ' Choose “all” to see those settled in the last 90 days.' : ''}`,
          )
        : html`<div class="cards">${found.map((each) => unknownCard(visit, each))}</div>`
    }`,
  };
}

const WAITS: Readonly<Record<string, string>> = {
  copy: 'waits for a copy of its lane',
  late_reply: 'a late reply may still come within a minute',
  person: 'a person must decide',
};

function unknownCard(visit: Visit, each: UnknownOutcome): Html {
  const { operation_id: operation, end, waits_for: waits } = each;
  return html`<article class="panel card" aria-labelledby="u-${operation}">
    <h2 id="u-${operation}"><code>${each.action}</code> of ${laneLink(each.lane)}</h2>
    <p class="state ${end === null ? 'warn' : 'good'}">
      ${end === null ? `◆ ${WAITS[waits ?? ''] ?? ''}` : `● ${spoken(end)}`}
      <span class="note-inline">· write ${count(each.sequence)}, found ${when(each.found_at)}</span>
    </p>
    <p class="note">
      <code>${operation}</code
      >${each.decided_by !== null && ` · ${each.decided_by}: ${each.decided_reason ?? ''}`}
    </p>
    ${
      each.choices.length > 0 &&
      html`<div class="deeds">
        ${foldedChange(visit, { action: `/unknown-outcomes/${operation}/applied`, label: 'It took effect', role: 'approver', isGrave: true })}
        ${foldedChange(visit, { action: `/unknown-outcomes/${operation}/lost`, label: 'It did not', role: 'approver', isGrave: true })}
      </div>`
    }
  </article>`;
}
