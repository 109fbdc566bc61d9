import { count, counted, spoken } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { Asked, Visit } from '../visit.ts';
import { emptyState, type Page } from './layout.ts';

/** A lane in a list. */
export interface Lane {
  readonly owner: string;
  readonly condition: string;
  readonly reason: string;
  readonly sequence: number;
  readonly delivered_sequence: number;
  readonly seeded_coverage: number;
  readonly generation: number;
  readonly exceptions: number;
  /** What a reconciliation found of it that is neither repaired nor accepted, and the run that found it. */
  readonly differences: number;
  readonly found_by_run: number | null;
}

const SHOWN = 100;

/** Signs of a lane's condition; words go with them. */
const SIGNS: Readonly<Record<string, string>> = {
  clean: 'good',
  copying: 'warn',
  dirty: 'warn',
  differs: 'warn',
  stopped: 'bad',
};
const MARKS: Readonly<Record<string, string>> = { good: '●', warn: '◆', bad: '▲' };

/** A clean lane is no good news while a reconciliation's difference stands. */
export function shownCondition({ condition, differences = 0 }: Partial<Lane>): string {
  return condition === 'clean' && differences > 0 ? 'differs' : (condition ?? 'never written');
}

export function differencesOf({ differences = 0, found_by_run: run }: Partial<Lane>): Html | false {
  if (differences === 0) return false;
  return html`${counted(differences, 'difference')}, found by <a href="/runs/${run}">run ${run}</a>`;
}

export function conditionOf(condition: string): Html {
  const sign = SIGNS[condition] ?? 'warn';
  return html`<span class="state ${sign}"
    ><span aria-hidden="true">${MARKS[sign]}</span> ${spoken(condition)}</span
  >`;
}

/** Finds a lane by the beginning of its owner. */
export async function lanesPage(visit: Visit, { query }: Asked): Promise<Page> {
  const services = visit.status?.services.map(({ service }) => service as string) ?? [];
  const service = services.find((one) => one === query['service']) ?? services[0] ?? '';
  const owner = (query['owner'] ?? '').trim();
  const isUnwell = query['unwell'] === 'true';
  const search = new URLSearchParams({
    unwell: String(isUnwell),
    limit: String(SHOWN + 1),
    ...(owner !== '' && { owner }),
  });
  const { lanes } = await visit.api.get<{ lanes: readonly Lane[] }>(
    `/v1/services/${service}/lanes?${search.toString()}`,
  );
  return {
    title: 'Lanes',
    lead: 'A lane is what one owner has in one service: a session, or a user. The newest first.',
    body: html`<form class="panel row" method="get" action="/lanes" role="search">
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
        <div class="check">
          <input id="unwell" name="unwell" type="checkbox" value="true" ${isUnwell && html`checked`} /><label
            for="unwell"
            >Only what is not clean</label
          >
        </div>
        <button class="primary">Find</button>
      </form>
      ${lanes.length === 0 ? nothingFound(owner, isUnwell) : lanesTable(service, lanes)}`,
  };
}

function nothingFound(owner: string, isUnwell: boolean): Html {
  if (owner !== '')
    return emptyState(
      'No such lane',
      `No owner begins with “${owner}”. A lane is known once it was written to through the proxy, or copied.`,
    );
  return isUnwell
    ? emptyState(
        'Every lane is clean',
        'Nothing is dirty, being copied, stopped or excepted, and no reconciliation found a difference that stands.',
      )
    : emptyState(
        'No lanes yet',
        'They appear when dual writes are on and an agent writes, or a backfill lists them.',
      );
}

function lanesTable(service: string, lanes: readonly Lane[]): Html {
  return html`<section class="panel" aria-labelledby="found">
    <h2 id="found">
      ${lanes.length > SHOWN ? `The newest ${count(SHOWN)} lanes` : counted(lanes.length, 'lane')}
      ${lanes.length > SHOWN && html`<span class="of">there are more: say how the owner begins</span>`}
    </h2>
    <div class="table-frame" tabindex="0" role="group" aria-labelledby="found">
      <table>
        <thead>
          <tr>
            <th scope="col">Owner</th>
            <th scope="col">Condition</th>
            <th scope="col" class="number">Writes</th>
            <th scope="col" class="number">Delivered</th>
            <th scope="col" class="number">Generation</th>
            <th scope="col">Seeded</th>
          </tr>
        </thead>
        <tbody>
          ${lanes.slice(0, SHOWN).map(
            (lane) =>
              html`<tr>
                <th scope="row" class="words">
                  <a href="/lanes/${service}/${encodeURIComponent(lane.owner)}">${lane.owner}</a>
                </th>
                <td>
                  ${conditionOf(shownCondition(lane))}<span class="note">${spoken(lane.reason)}</span
                  ><span class="note">${differencesOf(lane)}</span>
                </td>
                <td class="number">${count(lane.sequence)}</td>
                <td class="number">${count(lane.delivered_sequence)}</td>
                <td class="number">${count(lane.generation)}</td>
                <td>
                  ${lane.seeded_coverage > 0 ? 'yes' : 'not yet'}${lane.exceptions > 0 && html`<span class="note">${counted(lane.exceptions, 'exception')}</span>`}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}
