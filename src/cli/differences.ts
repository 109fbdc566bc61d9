import { Command } from 'commander';
import { hintWords } from '../operator/words.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from '../operator/views/terminal.ts';

const HEADS = ['action', 'where', 'what', 'times', 'lanes', 'last seen', 'looks like'];

const HELP = `
To see one comparison side by side (redacted), use the desk or GET /v1/services/<service>/differences.
To allow a difference, add a rule; crossfade rules try FILE shows its effect first.
Exit codes: 0 success, with or without differences; 1 error (reason on stderr).`;

/** `crossfade differences`: the differences that comparisons found, grouped by cause. */
export function createDifferencesCommand(env: Environment): Command {
  const command = new Command('differences')
    .argument('<service>', 'service name, as in crossfade status')
    .description('List the differences between both backends, grouped by cause')
    .addHelpText('after', HELP);
  return proxyOptions(command, env, 'print JSON, with redacted examples').action(show);
}

async function show(service: string, { json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'listSignatures', { params: { service } });
  if (json === true) return console.log(text);
  const { signatures } = parsed(text);
  if (signatures.length === 0)
    return console.log(`no comparison of ${service} has found a difference (the last 5 s are not included)`);
  const rows = signatures.map(({ action, path, class: kind, shape, hint, ...seen }) => [
    action,
    path === '' ? '(whole answer)' : path,
    `${kind} (${shape})`,
    String(seen.count),
    String(seen.lanes),
    seen.last_at,
    hint === null ? '-' : hintWords(hint),
  ]);
  console.log(table(HEADS, rows));
}
