import { Command } from 'commander';
import { agentsView } from '../operator/views/agents.ts';
import { sectionsText } from '../operator/views/terminal.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

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
  console.log(sectionsText(agentsView(parsed(text))));
}
