import { Command } from 'commander';
import type { ShownAgents } from '../operator/routes/agent-routes.ts';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

interface AgentOptions extends ProxyOptions {
  readonly service?: string;
}

/** `crossfade agents`: who asks through the proxies, and who writes past them. */
export function createAgentsCommand(env: Environment): Command {
  const agents = new Command('agents')
    .description('Agents that ask through the proxies, the last one first, and writers that bypass them')
    .option('--service <name>', 'only agents of this service')
    .addHelpText(
      'after',
      '\nAn agent is named by the header crossfade-agent, else by its ZeroMQ identity, else by its address.' +
        '\nThe 10,000 agents that asked last are kept. Writers that bypass the proxy are those of the last 7 days.' +
        '\n\nExit codes: 0 shown; 1 the proxy could not be asked.',
    );
  return proxyOptions(agents, env, 'as JSON').action(list);
}

async function list({ service, json, ...at }: AgentOptions): Promise<void> {
  const query = new URLSearchParams(service === undefined ? {} : { service });
  const text = await askProxy(at, `/v1/agents?${query.toString()}`);
  if (json === true) return console.log(text);
  const { agents, writers_past_proxy: writers } = JSON.parse(text) as ShownAgents;
  console.log(agents.length === 0 ? 'no agent has sent a request through the proxy' : tableOf(agents));
  const unseen = writers.filter((writer) => !writer.seen_through_proxy);
  if (unseen.length === 0) return;
  console.log('\nThese write to legacy past the proxy and were never seen through it:');
  const rows = unseen.map((one) => [one.service, one.writer ?? 'unknown', String(one.lanes), one.last_found]);
  console.log(table(['service', 'writer', 'lanes', 'last found'], rows));
}

function tableOf(agents: ShownAgents['agents']): string {
  const rows = agents.map((one) => [
    one.service,
    one.agent,
    one.dialect,
    String(one.requests),
    one.last_seen,
    one.first_seen,
  ]);
  return table(['service', 'agent', 'dialect', 'requests', 'last request', 'first request'], rows);
}
