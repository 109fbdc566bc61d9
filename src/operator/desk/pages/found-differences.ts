import type { CallOf } from '../../api/endpoint.ts';
import type { FoundDifference } from '../../api/comparisons.ts';
import type { ENDPOINTS } from '../../api/endpoints.ts';
import { hintWords } from '../../words.ts';
import { counted, spoken } from '../../views/figures.ts';
import { when, html, type Html } from '../../views/html.ts';
import { count } from '../figures.ts';

/** Differences shown unfolded. */
const OPEN = 3;
const PAGE = 25;

/** The filter. Empty texts restrict nothing. */
interface Filter {
  readonly action?: string;
  readonly owner?: string;
  readonly path?: string;
  readonly class?: string;
  readonly hours?: string;
  readonly before?: string;
}

const NAMES = ['action', 'owner', 'path', 'class', 'hours', 'before'] as const;

export function filterOf(query: Readonly<Record<string, string | undefined>>): Filter {
  // The path of a whole answer is the empty text.
  const given = NAMES.filter((name) => query[name] !== undefined && (query[name] !== '' || name === 'path'));
  return Object.fromEntries(given.map((name) => [name, (query[name] ?? '').trim()]));
}

type Query = CallOf<typeof ENDPOINTS.listDifferences>['query'] & object;

/** The query of the API. It asks for one more than a page, to know whether there is a next page. */
export function searchOf({ path, ...filter }: Filter): Query {
  const isByPath = path !== undefined && (path !== '' || filter.class !== undefined);
  return { ...filter, ...(isByPath && { path }), limit: String(PAGE + 1) };
}

/** The address on the desk. */
export function addressOf(service: string, filter: Filter): string {
  const given = Object.entries(filter).filter(([name, value]) => value !== '' || name === 'path');
  return `/services/${service}/differences?${new URLSearchParams(given).toString()}#found`;
}

interface Listed {
  readonly service: string;
  readonly filter: Filter;
  readonly actions: readonly string[];
}

/** One page of differences. The newest are open, the others folded. Equal ones are shown once. */
export function differencesPanel(found: readonly FoundDifference[], listed: Listed): Html | false {
  const isFiltered = Object.keys(listed.filter).length > 0;
  if (found.length === 0 && !isFiltered) return false;
  const page = found.slice(0, PAGE);
  const groups = collapsed(page);
  return html`<section class="panel" aria-labelledby="found">
    <h2 id="found">
      One by one
      <span class="of"
        >${found.length === 0 ? 'none' : `${counted(page.length, 'difference')}, newest first${found.length > PAGE ? '; there are more' : ''}`}</span
      >
    </h2>
    ${filterForm(listed)}
    ${found.length === 0 && html`<p class="help">No stored difference matches this filter. The newest 10,000 per service are kept.</p>`}
    ${groups.slice(0, OPEN).map(oneFound)}
    ${
      groups.length > OPEN &&
      html`<details class="fold found-more">
        <summary>${counted(groups.length - OPEN, 'more difference')}</summary>
        ${groups.slice(OPEN).map(oneFound)}
      </details>`
    }
    ${pages(found, listed)}
  </section>`;
}

function pages(found: readonly FoundDifference[], { service, filter }: Listed): Html {
  const last = found[PAGE - 1]?.id;
  const hasMore = found.length > PAGE && last !== undefined;
  return html`<p class="pages">
    ${filter.before !== undefined && html`<a class="button" href="${addressOf(service, { ...filter, before: '' })}">Newest</a>`}
    ${hasMore && html`<a class="button" href="${addressOf(service, { ...filter, before: String(last) })}">Older</a>`}
  </p>`;
}

const HOURS = { '': 'any time', 1: 'the last hour', 24: 'the last 24 hours', 168: 'the last 7 days' };

function filterForm({ service, filter, actions }: Listed): Html {
  const known =
    filter.action === undefined || actions.includes(filter.action) ? actions : [...actions, filter.action];
  const isOfCause = filter.class !== undefined || filter.path !== undefined;
  return html`<form
    class="row filter"
    method="get"
    action="/services/${service}/differences#found"
    role="search"
  >
    <div class="field">
      <label for="f-action">Action</label
      ><select id="f-action" name="action">
        <option value="">every action</option>
        ${known.map((one) => html`<option ${one === filter.action && html`selected`}>${one}</option>`)}
      </select>
    </div>
    <div class="field">
      <label for="f-owner">Owner of the lane</label
      ><input
        id="f-owner"
        name="owner"
        value="${filter.owner}"
        maxlength="512"
        autocomplete="off"
        spellcheck="false"
      />
    </div>
    <div class="field">
      <label for="f-hours">Time</label
      ><select id="f-hours" name="hours">
        ${Object.entries(HOURS).map(([hours, name]) => html`<option value="${hours}" ${hours === (filter.hours ?? '') && html`selected`}>${name}</option>`)}
      </select>
    </div>
    ${filter.class !== undefined && html`<input type="hidden" name="class" value="${filter.class}" />`}
    ${filter.path !== undefined && html`<input type="hidden" name="path" value="${filter.path}" />`}
    <button class="primary">Filter</button>
    ${isOfCause && html`<p class="note">Cause: ${spoken(filter.class ?? 'any')} at <code>${filter.path === '' ? '(whole answer)' : (filter.path ?? 'any path')}</code>. <a href="/services/${service}/differences#found">Clear</a></p>`}
  </form>`;
}

/** The newest of those that are equal except for time and operation. */
interface Collapsed extends FoundDifference {
  readonly times: number;
  readonly firstAt: string;
}

function collapsed(found: readonly FoundDifference[]): Collapsed[] {
  const groups = Map.groupBy(found, ({ action, lane, primary, differences, suppressed }) =>
    JSON.stringify([action, lane, primary, differences, suppressed]),
  );
  return [...groups.values()].flatMap((group) => {
    const [latest, earliest] = [group[0], group.at(-1)];
    return latest === undefined
      ? []
      : [{ ...latest, times: group.length, firstAt: earliest?.at ?? latest.at }];
  });
}

function oneFound({
  at,
  action,
  lane,
  primary,
  differences,
  suppressed,
  operation_id: operation,
  times,
  firstAt,
}: Collapsed): Html {
  const slash = lane.indexOf('/');
  const [service, owner] = [lane.slice(0, slash), encodeURIComponent(lane.slice(slash + 1))];
  return html`<article class="found">
    <h3><code>${action}</code> <a href="/lanes/${service}/${owner}">${lane}</a></h3>
    <p class="note">
      ${when(at)}${times > 1 && html`, ${count(times)} times since ${when(firstAt)}`} · the agent got the
      answer of ${primary} ·
      <code>${operation}</code
      >${suppressed > 0 && ` · ${counted(suppressed, 'further difference')} accepted by rules`}
    </p>
    <div class="table-frame" tabindex="0" role="group" aria-label="Both sides of ${operation}">
      <table class="sides">
        <thead>
          <tr>
            <th scope="col">Path</th>
            <th scope="col">Legacy</th>
            <th scope="col">Orchestrator</th>
          </tr>
        </thead>
        <tbody>
          ${grouped(differences).map(sides)}
        </tbody>
      </table>
    </div>
  </article>`;
}

interface Alike {
  readonly each: FoundDifference['differences'][number];
  readonly times: number;
}

/** Rows that are equal except for their digests become one: an empty list beside seven items is one difference to a reader. */
function grouped(differences: FoundDifference['differences']): Alike[] {
  const groups = Map.groupBy(differences, ({ path, class: kind, legacy, orchestrator }) =>
    [path, kind, shapeOf(legacy), shapeOf(orchestrator)].join(' '),
  );
  return [...groups.values()].flatMap(([each, ...others]) => {
    if (each === undefined) return [];
    if (others.length === 0) return [{ each, times: 1 }];
    const { legacy, orchestrator } = each;
    const alike = { ...each, legacy: shapeOf(legacy), orchestrator: shapeOf(orchestrator) };
    return [{ each: alike, times: 1 + others.length }];
  });
}

/** Without the digest that distinguishes values. */
const shapeOf = (value: string): string => value.split('#')[0] ?? value;

function sides({ each, times }: Alike): Html {
  return html`<tr>
    <th scope="row">
      <code>${each.path === '' ? '(whole answer)' : each.path}</code>${times > 1 && ` × ${count(times)}`}<span
        class="note"
        >${spoken(each.class)}${each.hint !== undefined && `, looks like: ${hintWords(each.hint)}`}</span
      >
    </th>
    <td class="side legacy"><code>${each.legacy}</code></td>
    <td class="side orchestrator">
      <code>${each.orchestrator}</code
      >${each.apart !== undefined && html`<span class="note">${each.apart} apart</span>`}
    </td>
  </tr>`;
}
