import { ENDPOINTS } from '../../api/endpoints.ts';
import { LEDGER_STATES } from '../../api/endpoint.ts';
import type { DeadLetter, LedgerQuery, PrintedHalt, UnknownOutcome } from '../../api/ledgers.ts';
import { deadLettersTable, haltedSendsTable, unknownOutcomesTable } from '../../views/ledgers.ts';
import { html, type Html, type Shown } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { emptyState, type Page } from './layout.ts';
import { cards } from './table-panel.ts';

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

/** Writes that the orchestrator refused for good. */
export async function deadLettersPage(visit: Visit, asked: Asked): Promise<Page> {
  const filter = filterOf(visit, asked);
  const { dead_letters: letters } = await visit.api.ask(ENDPOINTS.listDeadLetters, { query: filter.search });
  const table = deadLettersTable(letters);
  return {
    title: 'Dead letters',
    waiting: { '/dead-letters': openIn(filter, letters) },
    lead: 'Writes that the orchestrator refused for good. Later writes of the same lane wait. Legacy has all of these writes.',
    body: html`${filterBar('/dead-letters', filter)}${
      letters.length === 0
        ? emptyState(filter.state === 'open' ? 'No open dead letters' : table.empty, table.advice)
        : cards(
            table,
            letters.map((letter) => letterForms(visit, letter)),
          )
    }`,
  };
}

function letterForms(visit: Visit, { operation_id: operation, state }: DeadLetter): Shown {
  if (state !== 'open') return false;
  const at = `/dead-letters/${operation}`;
  return html`${foldedChange(visit, { action: `${at}/redrive`, label: 'Send it again', role: 'operator' })}
  ${foldedChange(visit, { action: `${at}/copy`, label: 'Copy the whole lane', role: 'operator' })}
  ${foldedChange(visit, { action: `${at}/skip`, label: 'Skip it for good', role: 'approver', isGrave: true })}`;
}

/** Writes with an unknown outcome. */
export async function unknownOutcomesPage(visit: Visit, asked: Asked): Promise<Page> {
  const filter = filterOf(visit, asked);
  const { unknown_outcomes: found } = await visit.api.ask(ENDPOINTS.listUnknownOutcomes, {
    query: filter.search,
  });
  const table = unknownOutcomesTable(found);
  return {
    title: 'Unknown outcomes',
    waiting: { '/unknown-outcomes': openIn(filter, found) },
    lead: 'Writes with an unknown result, and how each was resolved. A late reply or a copy of the lane resolves most; a person decides the rest.',
    body: html`${filterBar('/unknown-outcomes', filter)}${
      found.length === 0
        ? emptyState(
            table.empty,
            `${table.advice ?? ''}${filter.state === 'open' ? ' Choose “all” to see those settled in the last 90 days.' : ''}`,
          )
        : cards(
            table,
            found.map((each) => unknownForms(visit, each)),
          )
    }`,
  };
}

function unknownForms(visit: Visit, { operation_id: operation, choices }: UnknownOutcome): Shown {
  if (choices.length === 0) return false;
  const at = `/unknown-outcomes/${operation}`;
  return html`${foldedChange(visit, { action: `${at}/applied`, label: 'It took effect', role: 'approver', isGrave: true })}
  ${foldedChange(visit, { action: `${at}/lost`, label: 'It did not', role: 'approver', isGrave: true })}`;
}

/** Writes that could not be sent to legacy without a decision. */
export async function reversePage(visit: Visit, asked: Asked): Promise<Page> {
  const filter = filterOf(visit, asked);
  const { reverse: halted } = await visit.api.ask(ENDPOINTS.listReverse, { query: filter.search });
  const table = haltedSendsTable(halted);
  return {
    title: 'Reverse delivery',
    waiting: { '/reverse': openIn(filter, halted) },
    lead: 'Writes of flipped lanes that cannot be sent to legacy without a decision. Later writes of the same lane wait. The orchestrator has all of these writes.',
    body: html`${filterBar('/reverse', filter)}${
      halted.length === 0
        ? emptyState(filter.state === 'open' ? 'No open halted writes' : table.empty, table.advice)
        : cards(
            table,
            halted.map((each) => haltForms(visit, each)),
          )
    }`,
  };
}

function haltForms(visit: Visit, { operation_id: operation, state }: PrintedHalt): Shown {
  if (state !== 'open') return false;
  const at = `/reverse/${operation}`;
  return html`${foldedChange(visit, { action: `${at}/retry`, label: 'Send it again', role: 'approver' })}
  ${foldedChange(visit, { action: `${at}/assume-applied`, label: 'Legacy has it', role: 'approver', isGrave: true })}
  ${foldedChange(visit, { action: `${at}/skip`, label: 'Skip it for good', role: 'approver', isGrave: true })}`;
}
