import { Command } from 'commander';
import { stringify } from 'yaml';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

const HELP = `
Operations are named by their ids in the owner's own explanation (writes), in dead-letters, unknown-outcomes and differences. Of a write
the timeline tells each step with its time; the journal keeps it for a day after its delivery, the ledgers for 90.
Exit codes: 0 explained; 1 not, and why is said.`;

/** `crossfade explain`: why an owner's requests go where they go, and what became of an operation on both backends. */
export function createExplainCommand(env: Environment): Command {
  const command = new Command('explain')
    .argument('<service>', 'as the status names it')
    .argument('<subject>', 'an owner, or the id of an operation')
    .description('Print a decision with everything that decides it, and what is stored of it')
    .addHelpText('after', HELP);
  return proxyOptions(command, env).action(
    async (service: string, subject: string, { json, ...at }: ProxyOptions) => {
      const path = `/v1/explain/${encodeURIComponent(service)}/${encodeURIComponent(subject)}`;
      const text = await askProxy(at, path);
      console.log(json === true ? text : stringify(JSON.parse(text)));
    },
  );
}
