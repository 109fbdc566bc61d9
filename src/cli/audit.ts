import { Command } from 'commander';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

interface AuditOptions extends ProxyOptions {
  readonly service?: string;
}

interface EntryView {
  readonly at: string;
  readonly person: string;
  readonly command: string;
  readonly service: string;
  readonly reason: string;
}

const HEADS = ['at', 'who', 'what', 'service', 'why'];

/** `crossfade audit`: who changed what by hand, and why. */
export function createAuditCommand(env: Environment): Command {
  const audit = new Command('audit')
    .description('Who changed what by hand, and why: the newest first')
    .option('--service <name>', 'only changes to this service')
    .addHelpText('after', '\nExit codes: 0 shown; 1 the proxy could not be asked.');
  return proxyOptions(audit, env, 'as JSON, with the details of each').action(list);
}

async function list({ service, json, ...at }: AuditOptions): Promise<void> {
  const { entries } = JSON.parse(await askProxy(at, '/v1/audit')) as { entries: readonly EntryView[] };
  const chosen = service === undefined ? entries : entries.filter((entry) => entry.service === service);
  if (json === true) return console.log(JSON.stringify({ entries: chosen }));
  if (chosen.length === 0) return console.log('nothing was changed by hand');
  console.log(
    table(
      HEADS,
      chosen.map((entry) => [entry.at, entry.person, entry.command, entry.service, entry.reason]),
    ),
  );
}
