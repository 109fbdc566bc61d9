import type { ShownAgents } from '../api/agents.ts';
import { column, counts, remark, type Section, section, tableOf, times } from './document.ts';

const BYPASSING =
  'These writers wrote to legacy in the last 7 days and were never seen by a proxy. Configure them to use the proxy.';

/** The writers that bypass the proxies, if there are any, and the agents seen through them. */
export function agentsView({ agents, writers_past_proxy: writers }: ShownAgents): readonly Section[] {
  const unseen = writers.filter((writer) => !writer.seen_through_proxy);
  const bypassing = tableOf(
    unseen,
    [
      column('writer', ({ writer }) => writer ?? 'unknown (the service does not record it)'),
      column('service', ({ service }) => service),
      counts('lanes', ({ lanes }) => lanes),
      times('last found', ({ last_found: at }) => at),
    ],
    { empty: 'No writers bypass the proxy' },
  );
  const seen = tableOf(
    agents,
    [
      column('agent', ({ agent }) => agent),
      column('service', ({ service }) => service),
      column('dialect', ({ dialect }) => dialect),
      counts('requests', ({ requests }) => requests),
      times('last request', ({ last_seen: at }) => at),
      times('first request', ({ first_seen: at }) => at),
    ],
    {
      empty: 'No agents yet',
      advice: 'Configure the agents to use the proxy. Each is listed after its first request.',
    },
  );
  return [
    ...(unseen.length > 0 ? [section('Writers that bypass the proxy', remark(BYPASSING), bypassing)] : []),
    section('Seen through the proxies', seen),
  ];
}
