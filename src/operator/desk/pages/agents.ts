import { ENDPOINTS } from '../../api/endpoints.ts';
import { agentsView } from '../../views/agents.ts';
import { html } from '../../views/html.ts';
import { count } from '../figures.ts';
import type { Asked, Visit } from '../visit.ts';
import type { Page } from './layout.ts';
import { sectionPanel } from './table-panel.ts';

/** Rows on one page. The command line lists all. */
const MOST_SHOWN = 500;

/** The agents seen through the proxies, and the writers that bypass them. */
export async function agentsPage(visit: Visit, { query }: Asked): Promise<Page> {
  const services = visit.status?.services.map(({ service }) => service as string) ?? [];
  const service = services.find((one) => one === query['service']);
  const answer = await visit.api.ask(ENDPOINTS.listAgents, { query: { service } });
  const left = answer.agents.length - MOST_SHOWN;
  const sections = agentsView({ ...answer, agents: answer.agents.slice(0, MOST_SHOWN) });
  return {
    title: 'Agents',
    lead: 'Agents that have sent requests through the proxies, newest request first.',
    body: html`${sections.map((section, index) => sectionPanel(`agents-${index}`, section))}
    ${left > 0 && html`<p>${count(left)} more. Run crossfade agents to list all.</p>`}`,
  };
}
