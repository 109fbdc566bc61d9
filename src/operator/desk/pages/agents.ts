import { ENDPOINTS } from '../../api/endpoints.ts';
import type { ShownAgents } from '../../api/agents.ts';
import { count, when } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { Asked, Visit } from '../visit.ts';
import { emptyState, type Page } from './layout.ts';
import { nowrap, table, text } from './table-panel.ts';

/** Rows on one page. The command line lists all. */
const MOST_SHOWN = 500;

/** The agents seen through the proxies, and the writers that bypass them. */
export async function agentsPage(visit: Visit, { query }: Asked): Promise<Page> {
  const services = visit.status?.services.map(({ service }) => service as string) ?? [];
  const service = services.find((one) => one === query['service']);
  const shown = await visit.api.ask(ENDPOINTS.listAgents, { query: { service } });
  const writers = shown.writers_past_proxy.filter((writer) => !writer.seen_through_proxy);
  return {
    title: 'Agents',
    lead: 'Agents that have sent requests through the proxies, newest request first.',
    body: html`${writers.length > 0 && pastTheProxy(writers)}${listed(shown.agents)}`,
  };
}

function pastTheProxy(writers: ShownAgents['writers_past_proxy']): Html {
  return html`<section class="panel" aria-labelledby="bypassing">
    <h2 id="bypassing">Writers that bypass the proxy</h2>
    <p>
      These writers wrote to legacy in the last 7 days and were never seen by a proxy. Configure them to use
      the proxy.
    </p>
    ${table('bypassing', {
      heads: [text('Writer'), text('Service'), 'Lanes', nowrap('Last found')],
      rows: writers.map(({ service, writer, lanes, last_found: found }) => [
        writer ?? 'unknown (the service does not record it)',
        service,
        count(lanes),
        when(found),
      ]),
    })}
  </section>`;
}

function listed(agents: ShownAgents['agents']): Html {
  if (agents.length === 0)
    return emptyState(
      'No agents yet',
      'Configure the agents to use the proxy. Each is listed after its first request.',
    );
  const left = agents.length - MOST_SHOWN;
  return html`<section class="panel" aria-labelledby="seen">
    <h2 id="seen">Seen through the proxies</h2>
    ${table('seen', {
      heads: [
        text('Agent'),
        text('Service'),
        text('Dialect'),
        'Requests',
        nowrap('Last request'),
        nowrap('First request'),
      ],
      rows: agents
        .slice(0, MOST_SHOWN)
        .map((one) => [
          one.agent,
          one.service,
          one.dialect,
          count(one.requests),
          when(one.last_seen),
          when(one.first_seen),
        ]),
    })}
    ${left > 0 && html`<p>${count(left)} more. Run crossfade agents to list all.</p>`}
  </section>`;
}
