import { Command } from 'commander';
import { parseLimit } from './ledger-options.ts';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

interface AuditOptions extends ProxyOptions {
  readonly service?: string;
  readonly limit: string;
  readonly before?: string;
}

interface EntryView {
  readonly at: string;
  readonly person: string;
  readonly command: string;
  readonly service: string;
  readonly reason: string;
}

interface Listed {
  readonly entries: readonly EntryView[];
  /** What `--before` is for what comes behind these; null where nothing does. */
  readonly next: number | null;
}

const HEADS = ['at', 'who', 'what', 'service', 'why'];

/** `crossfade audit`: who changed what by hand, and why. */
export function createAuditCommand(env: Environment): Command {
  const audit = new Command('audit')
    .description('Who changed what by hand, and why: the newest first')
    .option('--service <name>', 'only changes to this service')
    .option('--limit <n>', 'at most so many, up to 1000', parseLimit, '100')
    .option('--before <id>', 'those behind this one: where a longer list goes on is said at its end')
    .addHelpText('after', '\nExit codes: 0 shown; 1 the proxy could not be asked.');
  return proxyOptions(audit, env, 'as JSON, with the details of each').action(list);
}

async function list({ service, limit, before, json, ...at }: AuditOptions): Promise<void> {
  const query = new URLSearchParams({
    limit,
    ...(service !== undefined && { service }),
    ...(before !== undefined && { before }),
  });
  const text = await askProxy(at, `/v1/audit?${query.toString()}`);
  if (json === true) return console.log(text);
  const { entries, next } = JSON.parse(text) as Listed;
  if (entries.length === 0)
    return console.log(`nothing was changed by hand${service === undefined ? '' : ` of "${service}"`}`);
  const rows = entries.map((entry) => [entry.at, entry.person, entry.command, entry.service, entry.reason]);
  console.log(table(HEADS, rows));
  if (next !== null) console.log(`there are older ones: --before ${next}`);
}
