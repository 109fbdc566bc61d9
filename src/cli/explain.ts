import { Command } from 'commander';
import { stringify } from 'yaml';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

/** `crossfade explain`: why an owner's requests go where they go, and what became of an operation on both backends. */
export function createExplainCommand(env: Environment): Command {
  const command = new Command('explain')
    .argument('<service>', 'as the status names it')
    .argument('<subject>', 'an owner, or the id of a journaled operation')
    .description('Print a decision with everything that decides it, and what is stored of it');
  return proxyOptions(command, env).action(
    async (service: string, subject: string, { json, ...at }: ProxyOptions) => {
      const path = `/v1/explain/${encodeURIComponent(service)}/${encodeURIComponent(subject)}`;
      const text = await askProxy(at, path);
      console.log(json === true ? text : stringify(JSON.parse(text)));
    },
  );
}
