import { ENDPOINTS } from '../../api/endpoints.ts';
import { LANE_ORDERS, LANE_STATES, type ListedLane } from '../../api/lanes.ts';
import { count } from '../figures.ts';
import { counted } from '../../views/figures.ts';
import { lanesTable, standstillWords } from '../../views/lanes.ts';
import { term } from '../glossary.ts';
import { html, type Html } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import { emptyState, type Page } from './layout.ts';
import { viewTable } from './table-panel.ts';

const SHOWN = 100;

interface Choice {
  readonly service: string;
  readonly owner: string;
  readonly state: (typeof LANE_STATES)[number];
  readonly order: (typeof LANE_ORDERS)[number];
  readonly page: number;
}

function choiceOf(services: readonly string[], { query }: Asked): Choice {
  const state = query['state'] ?? (query['unwell'] === 'true' ? 'unwell' : 'all');
  return {
    service: services.find((one) => one === query['service']) ?? services[0] ?? '',
    owner: (query['owner'] ?? '').trim(),
    state: LANE_STATES.find((one) => one === state) ?? 'all',
    order: LANE_ORDERS.find((one) => one === query['order']) ?? 'activity',
    page: /^[1-9]\d{0,3}$/.test(query['page'] ?? '') ? Number(query['page']) : 1,
  };
}

/** The address of the same list with one choice changed. It starts at the first page. */
function at(choice: Choice, changed: Partial<Choice>): string {
  const { service, owner, state, order, page } = { ...choice, page: 1, ...changed };
  const search = new URLSearchParams({ service });
  if (owner !== '') search.set('owner', owner);
  if (state !== 'all') search.set('state', state);
  if (order !== 'activity') search.set('order', order);
  if (page > 1) search.set('page', String(page));
  return `/lanes?${search.toString()}`;
}

/** The lanes of a service by state, in an order, one page at a time. */
export async function lanesPage(visit: Visit, asked: Asked): Promise<Page> {
  const statuses = visit.status?.services ?? [];
  const services = statuses.map(({ service }) => service as string);
  const choice = choiceOf(services, asked);
  const { service, owner, state, order, page } = choice;
  const query = {
    state,
    order,
    limit: String(SHOWN + 1),
    offset: String((page - 1) * SHOWN),
    ...(owner !== '' && { owner }),
  };
  const { lanes, blocked_by: blockers } = await visit.api.ask(ENDPOINTS.listLanes, {
    params: { service },
    query,
  });
  const known = statuses.find((one) => one.service === service)?.lanes ?? undefined;
  return {
    title: 'Lanes',
    lead: html`A ${term('lane')} is everything that one owner has in one service: a session, or a user.`,
    body: html`${searchForm(services, choice)}${stateTabs(choice, known)}
    ${lanes.length === 0 ? nothingFound(choice) : lanesPanel(choice, lanes, standstillWords(blockers))}`,
  };
}

function searchForm(services: readonly string[], { service, owner, state, order }: Choice): Html {
  return html`<form class="panel row" method="get" action="/lanes" role="search">
    <div class="field">
      <label for="service">Service</label
      ><select id="service" name="service">
        ${services.map((one) => html`<option ${one === service && html`selected`}>${one}</option>`)}
      </select>
    </div>
    <div class="field">
      <label for="owner">Owner begins with</label
      ><input
        id="owner"
        name="owner"
        value="${owner}"
        maxlength="512"
        autocomplete="off"
        spellcheck="false"
      />
    </div>
    <div class="field">
      <label for="order">Order</label
      ><select id="order" name="order">
        ${LANE_ORDERS.map(
          (one) =>
            html`<option value="${one}" ${one === order && html`selected`}>${ORDER_WORDS[one]}</option>`,
        )}
      </select>
    </div>
    ${state !== 'all' && html`<input type="hidden" name="state" value="${state}" />`}
    <button class="primary">Find</button>
  </form>`;
}

const ORDER_WORDS: Readonly<Record<(typeof LANE_ORDERS)[number], string>> = {
  activity: 'newest write first',
  owner: 'by owner',
  writes: 'most writes first',
  behind: 'most deliveries waiting first',
};

const STATE_WORDS: Readonly<Record<(typeof LANE_STATES)[number], string>> = {
  all: 'all',
  unwell: 'not clean',
  seeded: 'seeded',
  dirty: 'dirty',
  copying: 'copying',
  stopped: 'stopped',
  excepted: 'with exceptions',
  differs: 'differs',
  flipped: 'writes moved',
};

type Counts = NonNullable<NonNullable<Visit['status']>['services'][number]['lanes']>;

/** The number of lanes in each state. */
function stateTabs(choice: Choice, counts: Counts | undefined): Html {
  const numbers: Readonly<Partial<Record<string, number>>> = { ...counts, all: counts?.total };
  return html`<nav class="tabs lane-states" aria-label="State">
    ${LANE_STATES.map((state) => {
      const number = numbers[state];
      return html`<a href="${at(choice, { state })}" ${state === choice.state && html`aria-current="page"`}
        >${STATE_WORDS[state]}${number !== undefined && html` <span class="of">${count(number)}</span>`}</a
      >`;
    })}
  </nav>`;
}

function nothingFound({ owner, state, page }: Choice): Html {
  if (page > 1) return emptyState('No more lanes', 'This page is after the end of the list.');
  if (owner !== '')
    return emptyState(
      'No such lane',
      `No owner begins with “${owner}”${state === 'all' ? '' : ` in this state`}. A lane is listed after its first write through the proxy, or after a copy.`,
    );
  if (state === 'unwell')
    return emptyState(
      'Every lane is clean',
      'No lane is dirty, being copied, stopped or excepted, and no difference is open.',
    );
  return state === 'all'
    ? emptyState(
        'No lanes yet',
        'Lanes appear when dual writes are on and an agent writes, or when a backfill lists them.',
      )
    : emptyState('No lane is in this state', 'Choose “all” to see every lane of the service.');
}

function lanesPanel(choice: Choice, lanes: readonly ListedLane[], standstill: string | undefined): Html {
  const first = (choice.page - 1) * SHOWN + 1;
  const shown = lanes.slice(0, SHOWN);
  return html`<section class="panel" aria-labelledby="found">
    <h2 id="found">
      ${choice.page === 1 && lanes.length <= SHOWN ? counted(lanes.length, 'lane') : `Lanes ${count(first)} to ${count(first + shown.length - 1)}`}
      <span class="of">${ORDER_WORDS[choice.order as keyof typeof ORDER_WORDS]}</span>
    </h2>
    ${viewTable('found', lanesTable(choice.service, shown))}
    ${
      standstill !== undefined &&
      html`<p class="help">
        Writes: ${standstill}. <a href="/flags/crossfade.${choice.service}.write-cutover">See why</a>
      </p>`
    }
    <p class="help">The journal keeps writes for journal.retentionHours. Older last writes are not shown.</p>
    <p class="pages">
      ${choice.page > 1 && html`<a class="button" href="${at(choice, { page: choice.page - 1 })}">Previous ${SHOWN}</a>`}
      ${lanes.length > SHOWN && html`<a class="button" href="${at(choice, { page: choice.page + 1 })}">Next ${SHOWN}</a>`}
    </p>
  </section>`;
}
