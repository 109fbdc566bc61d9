import { Command } from 'commander';
import type { ShownAgents } from '../operator/api/agents.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

interface AgentOptions extends ProxyOptions {
  readonly service?: string;
}

/** `crossfade agents`: the agents that use the proxies, and the writers that bypass them. */
export function createAgentsCommand(env: Environment): Command {
  const agents = new Command('agents')
    .description('List agents that use the proxies, most recent first, and writers that bypass them')
    .option('--service <name>', 'only agents of this service (default: all)')
    .addHelpText(
      'after',
      '\nAn agent is named by its header crossfade-agent, otherwise by its ZeroMQ identity, otherwise by its address.' +
        '\nThe 10,000 most recent agents are kept. Writers that bypass the proxy are listed for 7 days.' +
        '\n\nExit codes: 0 success, 1 error (reason on stderr).',
    );
  return proxyOptions(agents, env, 'print JSON').action(list);
}

async function list({ service, json, ...at }: AgentOptions): Promise<void> {
  const text = await callProxy(at, 'listAgents', { query: { service } });
  if (json === true) return console.log(text);
  const { agents, writers_past_proxy: writers } = parsed(text);
  console.log(agents.length === 0 ? 'no agent has sent a request through the proxy' : tableOf(agents));
  const unseen = writers.filter((writer) => !writer.seen_through_proxy);
  if (unseen.length === 0) return;
  console.log('\nThese writers bypass the proxy and were never seen by it:');
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
