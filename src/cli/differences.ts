import { Command } from 'commander';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions, SERVICE_ARGUMENT } from './proxy-options.ts';
import { signaturesTable } from '../operator/views/differences.ts';
import { tableText } from '../operator/views/terminal.ts';

const HELP = `
To see one comparison side by side (redacted), use the desk or GET /v1/services/<service>/differences.
To allow a difference, add a rule; crossfade rules try FILE shows its effect first.
Exit codes: 0 success, with or without differences; 1 error (reason on stderr).`;

/** `crossfade differences`: the differences that comparisons found, grouped by cause. */
export function createDifferencesCommand(env: Environment): Command {
  const command = new Command('differences')
    .argument(...SERVICE_ARGUMENT)
    .description('List the differences between both backends, grouped by cause')
    .addHelpText('after', HELP);
  return proxyOptions(command, env, 'print JSON, with redacted examples').action(show);
}

async function show(service: string, { json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'listSignatures', { params: { service } });
  if (json === true) return console.log(text);
  console.log(tableText(signaturesTable(service, parsed(text).signatures)));
}
