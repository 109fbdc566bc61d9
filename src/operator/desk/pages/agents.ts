import type { ShownAgents } from '../../routes/agent-routes.ts';
import { count, when } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { Asked, Visit } from '../visit.ts';
import { emptyState, type Page } from './layout.ts';

/** Rows on one page. The command line shows all. */
const MOST_SHOWN = 500;

/** Who asks through the proxies, and who writes past them. */
export async function agentsPage(visit: Visit, { query }: Asked): Promise<Page> {
  const services = visit.status?.services.map(({ service }) => service as string) ?? [];
  const service = services.find((one) => one === query['service']);
  const search = new URLSearchParams(service === undefined ? {} : { service });
  const shown = await visit.api.get<ShownAgents>(`/v1/agents?${search.toString()}`);
  const writers = shown.writers_past_proxy.filter((writer) => !writer.seen_through_proxy);
  return {
    title: 'Agents',
    lead: 'Agents that have sent requests through the proxies, the last one first.',
    body: html`${writers.length > 0 && pastTheProxy(writers)}${listed(shown.agents)}`,
  };
}

function pastTheProxy(writers: ShownAgents['writers_past_proxy']): Html {
  return html`<section class="panel">
    <h2>Writers that bypass the proxy</h2>
    <p>They wrote to legacy in the last 7 days and were never seen through the proxy. Point them at it.</p>
    <div class="table-frame" tabindex="0" role="group" aria-label="Writers that bypass the proxy">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">Writer</th>
            <th scope="col">Service</th>
            <th scope="col">Lanes</th>
            <th scope="col">Last found</th>
          </tr>
        </thead>
        <tbody>
          ${writers.map(
            ({ service, writer, lanes, last_found: found }) =>
              html`<tr>
                <th scope="row" data-head="Writer">${writer ?? 'unknown: the service does not say'}</th>
                <td data-head="Service">${service}</td>
                <td data-head="Lanes">${count(lanes)}</td>
                <td class="nowrap" data-head="Last found">${when(found)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function listed(agents: ShownAgents['agents']): Html {
  if (agents.length === 0)
    return emptyState(
      'No agent has asked yet',
      'Point the agents at the proxy: each is listed with its first request.',
    );
  const left = agents.length - MOST_SHOWN;
  return html`<section class="panel">
    <div class="table-frame" tabindex="0" role="group" aria-label="Agents">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">Agent</th>
            <th scope="col">Service</th>
            <th scope="col">Dialect</th>
            <th scope="col">Requests</th>
            <th scope="col">Last request</th>
            <th scope="col">First request</th>
          </tr>
        </thead>
        <tbody>
          ${agents.slice(0, MOST_SHOWN).map(
            (one) =>
              html`<tr>
                <th scope="row" data-head="Agent">${one.agent}</th>
                <td data-head="Service">${one.service}</td>
                <td data-head="Dialect">${one.dialect}</td>
                <td data-head="Requests">${count(one.requests)}</td>
                <td class="nowrap" data-head="Last request">${when(one.last_seen)}</td>
                <td class="nowrap" data-head="First request">${when(one.first_seen)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${left > 0 && html`<p>${count(left)} more: crossfade agents lists all.</p>`}
  </section>`;
}
