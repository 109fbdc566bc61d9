import { Command } from 'commander';
import { limitOption } from './ledger-options.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { auditTable } from '../operator/views/audit.ts';
import { tableText } from '../operator/views/terminal.ts';

interface AuditOptions extends ProxyOptions {
  readonly service?: string;
  readonly limit: string;
  readonly before?: string;
}

/** `crossfade audit`: the audit log. */
export function createAuditCommand(env: Environment): Command {
  const audit = new Command('audit')
    .description('List the audit log, newest first: who changed what, and why')
    .option('--service <name>', 'only changes to this service (default: all)')
    .addOption(limitOption('entries', 100))
    .option('--before <id>', 'list entries older than this id (printed at the end of a truncated list)')
    .addHelpText('after', '\nExit codes: 0 success, 1 error (reason on stderr).');
  return proxyOptions(audit, env, 'print JSON').action(list);
}

async function list({ service, limit, before, json, ...at }: AuditOptions): Promise<void> {
  const text = await callProxy(at, 'listAudit', { query: { limit, service, before } });
  if (json === true) return console.log(text);
  const { entries, next } = parsed(text);
  console.log(tableText(auditTable(entries)));
  if (next !== null) console.log(`more, older entries: --before ${next}`);
}
